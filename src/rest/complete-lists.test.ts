import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kit, startKit } from '../../test/kit.ts';
import { maxCompleteList } from '../paging.ts';

let kit: Kit;
let documentId: number;

beforeAll(async () => {
  // Reading so many rows takes longer than the default limits on a slow machine.
  kit = await startKit({ environment: { OPERATION_SECONDS: '120', STATEMENT_SECONDS: '120' } });
  await kit.ingest('Handbook', 'Holidays are thirty days.');
  documentId = (await kit.prisma.document.findUniqueOrThrow({ where: { externalId: 'Handbook' } })).id;
  await kit.prisma
    .$executeRaw`INSERT INTO "Agent" ("name", "slug", "description", "systemPrompt", "taskPrompt", "isPublic", "updatedAt")
    SELECT 'agent ' || n, 'agent-' || n, '', '', '', true, now() FROM generate_series(1, ${maxCompleteList}::int + 1) AS n`;
}, 120_000);
afterAll(() => kit?.close());

/** Requests a list and returns the response and the SQL statements that read a table without a limit. */
async function read(path: string) {
  kit.statements.length = 0;
  const { status, text, body } = await kit.rest('GET', path);
  const unlimited = kit.statements.filter((sql) => /FROM "[^"]+"\."Agent"/.test(sql) && !/LIMIT/.test(sql));
  return { status, text, body, unlimited };
}

const sentence = `The response would contain a list of more than ${maxCompleteList} entries. Read the list in pages, on a path with pages or through GraphQL.`;

describe('a list without pages that is longer than the maximum', () => {
  it.each([
    ['/api/admin/persona', 400],
    ['/api/v1/workspaces', 422],
  ])(
    '%s returns %i with the reason, and the statement has a limit',
    async (path, expected) => {
      const { status, text, unlimited } = await read(path);
      expect([status, text]).toEqual([expected, expect.stringContaining(sentence)]);
      expect(unlimited).toEqual([]);
    },
    120_000,
  );

  it('returns 422 when the list is nested, such as the workspaces that pin a document', async () => {
    await kit.prisma.$executeRaw`INSERT INTO "_Pinned" ("A", "B")
      SELECT "id", ${documentId}::int FROM "Agent" WHERE NOT "isBuiltin"`;
    const { status, text } = await read('/api/v1/documents');
    expect([status, text]).toEqual([422, expect.stringContaining(sentence)]);
  }, 120_000);

  it('is returned in pages by the paths that have them, and by GraphQL', async () => {
    const page = await kit.rest('GET', '/api/admin/agents?page_size=2&page_num=3');
    expect(page.body.items).toHaveLength(2);
    const { data, errors } = await kit.gql('{ allAgents(first: 2) { nodes { databaseId } } }');
    expect(errors).toEqual([]);
    expect(data.allAgents.nodes).toHaveLength(2);
  }, 120_000);
});

describe('a list without pages within the maximum', () => {
  it('is complete', async () => {
    await kit.prisma.$executeRaw`DELETE FROM "Agent" WHERE "name" LIKE 'agent %' AND "name" > 'agent 12'`;
    const count = await kit.prisma.agent.count({ where: { isBuiltin: false } });
    expect(count).toBeGreaterThan(1000);
    const { status, body } = await read('/api/v1/documents');
    expect(status).toBe(200);
    const listed = JSON.stringify(body.localFiles);
    expect(JSON.parse(listed.match(/"pinnedWorkspaces":(\[\d[^\]]*\])/)?.[1] ?? '[]')).toHaveLength(count);
  }, 120_000);
});
