import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Principal } from '../../src/authz/principal.ts';
import { newSecret, secretColumns } from '../../src/authz/secret.ts';
import { inMemoryRevocations } from '../../src/store/shared/revocations.ts';
import { type Answer, type Kit, startKit, until } from '../kit.ts';
import { makeGate } from '../model-server.ts';
import { deleteKey, regenerateKey, revokePat, updateKey } from './keys.ts';

/** Streams end together with their credential, and with the object that they were opened for. */
let live: Kit;
afterEach(() => void vi.useRealTimers());
beforeAll(async () => {
  live = await startKit({ scripted: true });
});
afterAll(() => live.close());

const subscription = `subscription ($input: SendChatMessageInput!) {
  chatTurn(input: $input) {
    __typename
    ... on ChatMessageIds { assistantMessageId }
    ... on ChatAnswerDelta { text }
    ... on ChatTurnStopped { reason }
  }
}`;

type Payload = Answer['body'];

/** Yields the objects of a turn's lines in REST. */
async function* lines(key: string): AsyncGenerator<Payload> {
  const response = await fetch(`${live.url}/api/chat/send-chat-message`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ message: 'Hello' }),
  });
  expect(response.status).toBe(200);
  let buffer = '';
  for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    buffer += chunk;
    const whole = buffer.split('\n');
    buffer = whole.pop() ?? '';
    for (const line of whole) yield JSON.parse(line);
  }
}

const roads = {
  'GraphQL over SSE': {
    open: (key: string) => live.subscribe(subscription, { input: { message: 'Hello' } }, key),
    ids: (event: Payload) => event.data?.chatTurn?.assistantMessageId,
    text: (event: Payload) => event.data?.chatTurn?.text,
    refused: (event: Payload) => event.errors?.[0]?.extensions?.code === 'UNAUTHENTICATED',
    finished: (event: Payload) => event.data?.chatTurn?.reason === 'FINISHED',
  },
  'REST lines': {
    open: lines,
    ids: (event: Payload) => event.reserved_assistant_message_id,
    text: (event: Payload) => (event.obj?.type === 'message_delta' ? event.obj.content : undefined),
    refused: (event: Payload) => event.error_code === 'AUTH_ERROR',
    finished: (event: Payload) => event.obj?.type === 'stop' && event.obj.stop_reason === null,
  },
};
type Road = (typeof roads)[keyof typeof roads];

/** Returns a turn whose model has sent one word of three and waits. */
async function openTurn(road: Road, key: string) {
  const gate = makeGate();
  live.model.script({ text: ['one ', 'two ', 'three'], gate });
  const events = road.open(key);
  gate.release();
  let messageId: number | undefined;
  for (let said = ''; said === ''; ) {
    const { value, done } = await events.next();
    if (done) throw new Error('the stream ended before the model spoke');
    messageId ??= road.ids(value);
    said = road.text(value) ?? '';
  }
  if (messageId === undefined) throw new Error('no message was announced');
  return { events, gate, messageId };
}

/** Creates a token for a project of the user. */
async function projectToken(ownerId: string): Promise<string> {
  const { id } = await live.prisma.project.create({ data: { name: 'streams', ownerId } });
  const secret = newSecret('PROJECT');
  await live.prisma.token.create({
    data: {
      ...secretColumns(secret),
      kind: 'PROJECT',
      allScopes: true,
      project: { connect: { id } },
      user: { create: { name: 'streams', email: `${secret.slice(-12)}@keys.example`, accountType: 'SERVICE_ACCOUNT' } },
    },
  });
  return secret;
}

const ends: Record<
  string,
  (keyMade: { id: number; secret: string; userId: string }) => Promise<{
    secret: string;
    end: () => Promise<unknown>;
    /** Its messages are deleted with it. */
    gone?: true;
    /** The credential keeps working with fewer permissions. */
    lives?: true;
  }>
> = {
  'the key that created the personal token is regenerated': async ({ id, secret }) => {
    const pat = await live.createPat(secret);
    return { secret: pat.secret, end: () => regenerateKey(live, { id }) };
  },
  'the personal token is revoked': async ({ secret }) => {
    const pat = await live.createPat(secret);
    return { secret: pat.secret, end: () => revokePat(live, pat.id, secret) };
  },
  'the key is disabled': async ({ id, secret }) => ({
    secret,
    end: () => updateKey(live, { id, disabled: true }),
  }),
  'the key is demoted': async ({ id, secret }) => ({
    secret,
    end: () => updateKey(live, { id, role: 'LIMITED' }),
    lives: true,
  }),
  'the key loses a scope': async ({ id, secret }) => ({
    secret,
    end: () => updateKey(live, { id, scopes: ['write:chat', 'read:agents'] }),
    lives: true,
  }),
  'the key behind a personal token loses a scope': async ({ id, secret }) => ({
    secret: (await live.createPat(secret)).secret,
    end: () => updateKey(live, { id, scopes: ['write:chat', 'read:agents'] }),
    lives: true,
  }),
  'the key’s expiry is moved to the next moment': async ({ id, secret }) => ({
    secret,
    // Repeated when the moment has passed before the request arrives, which is then denied.
    end: () =>
      until(async () => {
        const { errors } = await updateKey(live, { id, expiresAt: new Date(Date.now() + 500) });
        return errors.length === 0;
      }),
  }),
  'the owner of its project is demoted': async ({ id, userId }) => ({
    secret: await projectToken(userId),
    end: () => updateKey(live, { id, role: 'LIMITED' }),
    lives: true,
  }),
  'the owner of its project is disabled': async ({ id, userId }) => ({
    secret: await projectToken(userId),
    end: () => updateKey(live, { id, disabled: true }),
  }),
  'the key is regenerated': async ({ id, secret }) => ({
    secret,
    end: () => regenerateKey(live, { id }),
  }),
  'the key is deleted': async ({ id, secret }) => ({ secret, end: () => deleteKey(live, id), gone: true }),
  'the key behind a personal token is disabled': async ({ id, secret }) => ({
    secret: (await live.createPat(secret)).secret,
    end: () => updateKey(live, { id, disabled: true }),
  }),
  'the key behind a personal token is deleted': async ({ id, secret }) => ({
    secret: (await live.createPat(secret)).secret,
    end: () => deleteKey(live, id),
    gone: true,
  }),
};

describe.each(Object.keys(roads) as (keyof typeof roads)[])('a chat stream: %s', (name) => {
  const road = roads[name];
  test.each(Object.keys(ends))('TOK 5 TOK 9 ends and aborts the request to the model when %s', async (what) => {
    const prepare = ends[what];
    if (!prepare) throw new Error('no such end');
    const { secret, end, gone, lives } = await prepare(await live.createKey('BASIC'));
    const { events, messageId } = await openTurn(road, secret);
    const hungUp = live.model.nextAbort();
    await end();
    const rest = [];
    for await (const event of events) rest.push(event);
    expect(rest).toHaveLength(1);
    expect(road.refused(rest[0])).toBe(true);
    await hungUp;
    await live.booted.background.settled();
    const message = await live.prisma.chatMessage.findUnique({ where: { id: messageId }, include: { run: true } });
    if (gone) expect(message).toBeNull();
    else expect(message).toMatchObject({ text: 'one ', status: 'STOPPED', run: { status: 'STOPPED' } });
    expect((await live.gql('{ viewer { role } }', {}, secret)).status).toBe(lives ? 200 : 401);
  });

  test('TOK 5 continues when another token of the same user is revoked', async () => {
    const key = await live.createKey('BASIC');
    const [doomed, kept] = [await live.createPat(key.secret), await live.createPat(key.secret)];
    const { events, gate } = await openTurn(road, kept.secret);
    const aborted = live.model.aborted;
    await revokePat(live, doomed.id, key.secret);
    await regenerateKey(live, { id: key.id, keepDerivedCredentials: true });
    gate.open();
    const rest = [];
    for await (const event of events) rest.push(event);
    expect(rest.map((event) => road.text(event) ?? '').join('')).toBe('two three');
    expect(road.finished(rest.at(-1))).toBe(true);
    expect(live.model.aborted).toBe(aborted);
  });

  test('TOK 16 continues after a regeneration with overlap', async () => {
    const { id, secret } = await live.createKey('BASIC');
    const { events, gate } = await openTurn(road, secret);
    await regenerateKey(live, { id, overlapMinutes: 5 });
    gate.open();
    const rest = [];
    for await (const event of events) rest.push(event);
    expect(road.finished(rest.at(-1))).toBe(true);
  });
});

test('TOK 6 a stream ends exactly when its token expires', () => {
  vi.useFakeTimers();
  const revocations = inMemoryRevocations();
  const watch = (expiresAt: Date | null) =>
    revocations.watch({ userId: 'u', credential: { tokenId: 1, expiresAt } } as Principal);
  const [soon, never, late, past] = [
    watch(new Date(Date.now() + 1000)),
    watch(null),
    watch(new Date(Date.now() + 40 * 24 * 3_600_000)),
    watch(new Date(Date.now() - 1000)),
  ];
  const finished = watch(new Date(Date.now() + 1000));
  finished.done();
  const open = () => [soon, never, late, past, finished].map(({ signal }) => !signal.aborted);
  vi.advanceTimersByTime(999);
  expect(open()).toEqual([true, true, true, false, true]);
  vi.advanceTimersByTime(1);
  expect(open()).toEqual([false, true, true, false, true]);
  vi.advanceTimersByTime(24 * 3_600_000);
  expect(open()).toEqual([false, true, true, false, true]);
});
