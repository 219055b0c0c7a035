import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kit, startKit } from '../kit.ts';
import { addPassages, addSessions } from './large-data.ts';

interface Plan {
  'Node Type': string;
  'Relation Name'?: string;
  'Actual Rows'?: number;
  'Actual Loops'?: number;
  Plans?: Plan[];
}

const nodesOf = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];

/** The tables with many rows, and those that grow with them. */
const large = new Set(['ChatSession', 'ChatMessage', 'Chunk']);

describe.runIf(process.env.DATABASE_URL)(
  'with 20,000 sessions, 120,000 messages and 100,000 passages (skipped without DATABASE_URL)',
  () => {
    let kit: Kit;
    let client: pg.Client;
    let sessionId: string;

    beforeAll(async () => {
      kit = await startKit();
      const [{ url, userId }] = await kit.prisma.$queryRaw<[{ url: string; userId: string }]>`
        SELECT current_database() AS url, "userId" FROM "Token" ORDER BY "id" LIMIT 1`;
      const connection = new URL(process.env.DATABASE_URL ?? '');
      connection.pathname = `/${url}`;
      client = new pg.Client({ connectionString: connection.href });
      await client.connect();
      await addSessions(client, userId, 20_000);
      await addPassages(client, 100_000);
      // Another user, so that a condition on the owner is selective for none of the indexes.
      await kit.createKey('BASIC');
      await client.query('ANALYZE');
      sessionId = (await client.query('SELECT "id" FROM "ChatSession" LIMIT 1')).rows[0].id;
    });
    afterAll(async () => {
      await client?.end();
      await kit?.close();
    });

    /** Returns the plans of the reading statements of a request, as they were executed. */
    async function plansOf(request: () => Promise<{ status: number }>): Promise<Plan[][]> {
      const statements: { text: string; values: unknown[] }[] = [];
      kit.onStatement = (text, values) => statements.push({ text, values });
      expect((await request()).status).toBe(200);
      delete kit.onStatement;
      const plans: Plan[][] = [];
      for (const { text, values } of statements) {
        if (!/^\s*(SELECT|WITH)\b/.test(text)) continue;
        const { rows } = await client.query({ text: `EXPLAIN (ANALYZE, FORMAT JSON) ${text}`, values });
        plans.push(nodesOf(rows[0]['QUERY PLAN'][0].Plan));
      }
      expect(plans.length).toBeGreaterThan(0);
      return plans;
    }

    const rowsOf = (plan: Plan): number => (plan['Actual Rows'] ?? 0) * (plan['Actual Loops'] ?? 1);
    const scansOfLargeTables = (plans: Plan[][]): string[] =>
      plans
        .flat()
        .filter((plan) => plan['Node Type'] === 'Seq Scan' && large.has(plan['Relation Name'] ?? ''))
        .map((plan) => String(plan['Relation Name']));

    const gql = (query: string) => () => kit.gql(query);
    const rest = (path: string) => () => kit.rest('GET', path);

    it.each([
      ['a list of sessions', gql('{ chatSessions(first: 50) { nodes { id name } } }'), 200],
      ['a list of sessions over REST', rest('/api/chat/get-user-chat-sessions?page_size=50'), 200],
    ])('%s reads through indexes, and only as many rows as it needs', async (_name, request, most) => {
      const plans = await plansOf(request);
      expect(scansOfLargeTables(plans)).toEqual([]);
      expect(Math.max(...plans.flat().map(rowsOf))).toBeLessThanOrEqual(most);
    });

    it('a search for a rare word finds the messages through the index of words', async () => {
      const plans = await plansOf(rest('/api/chat/search?query=invoice%204711'));
      // PostgreSQL joins the sessions to a few hundred matches in the way that it expects to cost less.
      expect(scansOfLargeTables(plans)).not.toContain('ChatMessage');
      const messages = plans.flat().filter((plan) => plan['Relation Name'] === 'ChatMessage');
      expect(messages.length).toBeGreaterThan(0);
      expect(Math.max(...messages.map(rowsOf))).toBeLessThanOrEqual(2000);
    });

    it('a session with its messages reads only its own messages', async () => {
      const plans = await plansOf(rest(`/api/chat/get-chat-session/${sessionId}`));
      expect(scansOfLargeTables(plans)).toEqual([]);
      expect(Math.max(...plans.flat().map(rowsOf))).toBeLessThanOrEqual(50);
    });

    it('the number of sessions is counted without their messages', async () => {
      const plans = await plansOf(gql('{ chatSessions { totalCount } }'));
      expect(plans.flat().filter((plan) => plan['Relation Name'] === 'ChatMessage')).toEqual([]);
    });

    it('a search for passages finds its candidates through the index of words', async () => {
      const plans = await plansOf(gql('{ search(query: "machine 4711 maintenance", first: 5) { __typename } }'));
      const nodes = plans
        .flat()
        .filter((plan) => plan['Node Type'] === 'Seq Scan' && plan['Relation Name'] === 'Chunk');
      expect(nodes).toEqual([]);
    });
  },
);

it('a session has messages while it has any besides its root', async () => {
  const kit = await startKit();
  try {
    const [{ userId }] = await kit.prisma.$queryRaw<[{ userId: string }]>`SELECT "userId" FROM "Token" LIMIT 1`;
    const { id } = await kit.prisma.chatSession.create({ data: { userId, agentId: 0 } });
    const state = async () => (await kit.prisma.chatSession.findUniqueOrThrow({ where: { id } })).hasMessages;
    const add = (role: 'SYSTEM' | 'USER') => kit.prisma.chatMessage.create({ data: { sessionId: id, role } });
    await add('SYSTEM');
    expect(await state()).toBe(false);
    const [first, second] = [await add('USER'), await add('USER')];
    expect(await state()).toBe(true);
    await kit.prisma.chatMessage.delete({ where: { id: first.id } });
    expect(await state()).toBe(true);
    await kit.prisma.chatMessage.delete({ where: { id: second.id } });
    expect(await state()).toBe(false);
    await add('USER');
    await kit.prisma.chatSession.delete({ where: { id } });
    expect(await kit.prisma.chatMessage.count({ where: { sessionId: id } })).toBe(0);
  } finally {
    await kit.close();
  }
});
