import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DatabaseUnavailableError } from '../../src/errors.ts';
import { type Kit, startKit, until } from '../kit.ts';
import { makeGate } from '../model-server.ts';

/** A server whose embedded database runs in a separate thread with a short statement timeout. */
let kit: Kit;

/** A chat session with this name triggers a statement that runs for hours. */
const heavy = 'heavy';

beforeAll(async () => {
  kit = await startKit({ threaded: true, scripted: true, environment: { STATEMENT_SECONDS: '3' } });
  await kit.prisma.$executeRawUnsafe(`CREATE FUNCTION count_for_hours() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b; RETURN NEW; END $$`);
  await kit.prisma.$executeRawUnsafe(`CREATE TRIGGER heavy BEFORE INSERT ON "ChatSession" FOR EACH ROW
    WHEN (NEW."name" = '${heavy}') EXECUTE FUNCTION count_for_hours()`);
});
afterAll(() => kit?.close());

const create = (name: string) =>
  kit.gql('mutation ($input: CreateChatSessionInput!) { createChatSession(input: $input) { session { id } } }', {
    input: { name },
  });
const names = async (): Promise<string[]> => {
  const { data } = await kit.gql('{ chatSessions(first: 100) { nodes { name } } }');
  return data.chatSessions.nodes.map(({ name }: { name: string }) => name);
};
/** Queries the database in the same way as the services. */
const query = (text: string) => kit.booted.foundation.db.query<Record<string, unknown>>({ name: 'test', text }, []);
const used = async (): Promise<number> => Number((await query('SELECT sum("turns") AS n FROM "UsageRecord"'))[0]?.n);
const logged = (text: string) => kit.log.filter((line) => line.includes(text)).map((line) => JSON.parse(line));

describe('a statement that exceeds the timeout', () => {
  it('returns 503 while the server stays responsive, and no acknowledged data is lost', async () => {
    const before = ['one', 'two', 'three'];
    for (const name of before) expect((await create(name)).errors).toEqual([]);
    let over = false;
    const ended = create(heavy).finally(() => {
      over = true;
    });
    await until(() => kit.statements.at(-1)?.startsWith('INSERT INTO "public"."ChatSession"'));
    // Arrives while the statement is running, and runs when the database is open again.
    const waited = create('four');
    let ticks = 0;
    let healthy = 0;
    const ticking = setInterval(() => ticks++, 1);
    while (!over) {
      const answers = await Promise.all(['/health', '/health/live'].map((path) => fetch(`${kit.url}${path}`)));
      if (answers.every(({ status }) => status === 200)) healthy++;
    }
    clearInterval(ticking);
    // If the statement ran on the server's thread, there would have been time for only one of each.
    expect(ticks).toBeGreaterThan(20);
    expect(healthy).toBeGreaterThan(5);

    const { status, headers, data, errors } = await ended;
    expect([status, headers.get('retry-after'), data]).toEqual([503, '5', { createChatSession: null }]);
    expect(errors).toMatchObject([{ extensions: { code: 'UNAVAILABLE', retryAfter: 5 } }]);
    expect(errors[0]?.message).toContain(headers.get('x-request-id'));
    expect(logged('the database is not available')).toMatchObject([
      { requestId: headers.get('x-request-id'), error: { message: 'a statement took longer than 3 s' } },
    ]);
    expect((await waited).errors).toEqual([]);
    expect((await names()).sort()).toEqual([...before, 'four'].sort());
    expect((await fetch(`${kit.url}/health/ready`)).status).toBe(200);
  });

  it('aborts its transaction, and no later statement of the transaction runs', async () => {
    const name = 'in a transaction';
    const data = {
      name,
      agentId: 0,
      userId: (await kit.gql('{ viewer { user { databaseId } } }')).data.viewer.user.databaseId,
    };
    let later: Promise<unknown> = Promise.resolve();
    const transaction = kit.prisma.$transaction(async (tx) => {
      await tx.chatSession.create({ data });
      await tx.chatSession.create({ data: { ...data, name: heavy } }).catch((error: unknown) => {
        expect(error).toBeInstanceOf(DatabaseUnavailableError);
      });
      later = tx.chatSession.create({ data });
      await later;
    });
    await expect(transaction).rejects.toBeInstanceOf(DatabaseUnavailableError);
    await expect(later).rejects.toBeInstanceOf(DatabaseUnavailableError);
    expect(await names()).not.toContain(name);
    // Requests that had to wait for the transaction now run.
    expect((await create('after the transaction')).errors).toEqual([]);
  });
});

describe('an answer in progress when the database stops', () => {
  it('is stored completely, and its usage is counted once', async () => {
    const before = await used();
    const gate = makeGate();
    kit.model.script({ text: ['One ', 'two ', 'three'], gate });
    const turn = kit.rest('POST', '/api/chat/send-chat-message', {
      body: { message: 'Count', stream: false, allowed_tool_ids: [] },
    });
    await until(() => kit.model.requests.length > 0);
    // The answer ends while the database is busy and while it is being reopened.
    const ended = create(heavy);
    await until(() => kit.statements.at(-1)?.startsWith('INSERT INTO "public"."ChatSession"'));
    gate.open();
    expect((await ended).status).toBe(503);
    const { status, body } = await turn;
    expect([status, body.answer, body.error_msg]).toEqual([200, 'One two three', null]);
    const message = await kit.prisma.chatMessage.findUniqueOrThrow({
      where: { id: body.message_id },
      include: { run: true },
    });
    expect(message).toMatchObject({ text: 'One two three', status: 'COMPLETE', run: { status: 'COMPLETED' } });
    expect(await used()).toBe(before + 1);
  });
});

describe('a statement that crashes the database', () => {
  it.each([
    ['overflows its stack', `SELECT repeat('[', 1000000)::json`],
    ['returns more than its thread can hold', `SELECT repeat('x', 1000000) AS x FROM generate_series(1, 800)`],
  ])('fails when it %s, and the next statement finds the stored data', async (_what, text) => {
    expect((await create('kept')).errors).toEqual([]);
    await expect(query(text)).rejects.toBeInstanceOf(DatabaseUnavailableError);
    expect(await names()).toContain('kept');
    expect(logged('the embedded database is open again').length).toBeGreaterThan(0);
  });
});

describe('responses of the database thread', () => {
  it('contain the SQLSTATE and the subject of an error', async () => {
    await expect(query(`SELECT 'x'::int`)).rejects.toMatchObject({ code: '22P02', severity: 'ERROR' });
    const user = { email: 'twice@people.example', password: 'a password of theirs', role: 'BASIC' };
    const register = () =>
      kit.gql('mutation ($input: CreateUserInput!) { createUser(input: $input) { user { id } } }', { input: user });
    expect((await register()).errors).toEqual([]);
    expect((await register()).errors).toMatchObject([{ extensions: { code: 'CONFLICT' } }]);
    await expect(kit.prisma.user.create({ data: { name: 'x', email: user.email } })).rejects.toMatchObject({
      code: 'P2002',
    });
    await expect(kit.prisma.$queryRaw`SELECT 1/0`).rejects.toMatchObject({
      code: 'P2010',
      message: expect.stringContaining('22012'),
    });
  });

  it('contain the same values as a database in the server’s thread', async () => {
    const text = `SELECT 1::int8 AS big, 9007199254740993::int8 AS huge, 1.5::float8 AS float, '1.50'::numeric AS numeric,
      true AS flag, 'a'::text AS text, NULL AS nothing, '{"a":[1]}'::jsonb AS json, ARRAY['x','y'] AS list,
      '\\x00ff'::bytea AS bytes, '2026-01-02T03:04:05.678Z'::timestamptz AS at`;
    expect(await query(text)).toEqual([
      {
        big: 1,
        huge: 9007199254740993n,
        float: 1.5,
        numeric: '1.50',
        flag: true,
        text: 'a',
        nothing: null,
        json: { a: [1] },
        list: ['x', 'y'],
        bytes: new Uint8Array([0, 255]),
        at: new Date('2026-01-02T03:04:05.678Z'),
      },
    ]);
  });
});

describe('transactions', () => {
  it('are serialized, and other statements do not see their uncommitted data', async () => {
    const key = 'counter';
    await kit.prisma.setting.create({ data: { key, value: 0 } });
    const read = async (client: Pick<Kit['prisma'], 'setting'>) =>
      (await client.setting.findUniqueOrThrow({ where: { key } })).value as number;
    const increment = () =>
      kit.prisma.$transaction(async (tx) => {
        const value = (await read(tx)) + 1;
        await tx.setting.update({ where: { key }, data: { value } });
      });
    const undone = kit.prisma.$transaction(async (tx) => {
      await tx.setting.update({ where: { key }, data: { value: -1 } });
      throw new Error('undone');
    });
    const seen = Array.from({ length: 10 }, () => read(kit.prisma));
    const results = await Promise.allSettled([...Array.from({ length: 10 }, increment), undone]);
    expect(results.filter(({ status }) => status === 'rejected')).toMatchObject([{ reason: { message: 'undone' } }]);
    expect(await read(kit.prisma)).toBe(10);
    expect(await Promise.all(seen)).not.toContain(-1);
  });
});
