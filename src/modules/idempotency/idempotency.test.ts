import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, type Kit, startKit, until } from '../../../test/kit.ts';
import { makeGate } from '../../../test/model-server.ts';
import { inMemoryLocks } from '../../store/shared/locks.ts';
import { createIdempotencyService, type IdempotencyService, KeyReusedError } from './idempotency.service.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await startKit({ scripted: true });
});
afterAll(() => kit?.close());

let last = 0;
const newKey = () => `order-${++last}`;

const post = (
  path: string,
  body: unknown,
  idempotencyKey: string,
  options: { key?: string; headers?: Record<string, string> } = {},
): Promise<Answer> =>
  kit.rest('POST', path, {
    ...options,
    body,
    headers: { 'idempotency-key': idempotencyKey, ...options.headers },
  });

const apiKeys = () => kit.prisma.token.count({ where: { kind: 'API_KEY' } });
const replayed = ({ headers }: Answer) => headers.get('idempotency-replayed');

describe('a repeated request with the same idempotency key', () => {
  test('returns the response of the first request, and the operation runs only once', async () => {
    const key = newKey();
    const before = await apiKeys();
    const first = await post('/api/admin/api-key', { name: 'once' }, key);
    const again = await post('/api/admin/api-key', { name: 'once' }, key);
    expect([first.status, again.status]).toEqual([200, 200]);
    expect(first.body.api_key).toMatch(/^on_/);
    expect(again.text).toBe(first.text);
    expect(again.headers.get('content-type')).toBe(first.headers.get('content-type'));
    expect([replayed(first), replayed(again)]).toEqual([null, 'true']);
    expect(await apiKeys()).toBe(before + 1);
  });

  test('counts as the same request with and without /api, and with a trailing slash', async () => {
    const key = newKey();
    const before = await apiKeys();
    const texts = [];
    for (const path of ['/api/admin/api-key', '/admin/api-key', '/admin/api-key/'])
      texts.push((await post(path, { name: 'once' }, key)).text);
    expect(new Set(texts).size).toBe(1);
    expect(await apiKeys()).toBe(before + 1);
  });

  test('runs once when sent concurrently; the other requests get 409 or the same response', async () => {
    const key = newKey();
    const before = await apiKeys();
    const answers = await Promise.all([1, 2, 3, 4, 5].map(() => post('/api/admin/api-key', { name: 'raced' }, key)));
    expect(await apiKeys()).toBe(before + 1);
    const done = answers.filter(({ status }) => status === 200);
    expect(done.length).toBeGreaterThan(0);
    expect(new Set(done.map(({ text }) => text)).size).toBe(1);
    for (const { status, body } of answers)
      if (status !== 200) expect([status, body.error_code]).toEqual([409, 'CONFLICT']);
    expect((await post('/api/admin/api-key', { name: 'raced' }, key)).text).toBe(done[0]?.text);
  });

  test('replays a streamed chat unchanged, and does not send the message again', async () => {
    const key = newKey();
    kit.model.script({ text: ['One ', 'answer.'] });
    const body = { message: 'Say it once.', stream: true };
    const first = await post('/api/chat/send-chat-message', body, key);
    expect(first.text).toContain('One ');
    const asked = kit.model.requests.length;
    await kit.booted.background.settled();
    const again = await post('/api/chat/send-chat-message', body, key);
    expect(again.text).toBe(first.text);
    expect(again.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(kit.model.requests).toHaveLength(asked);
  });

  test('returns 409 while the first request is running; the response is kept although its client disconnected', async () => {
    const key = newKey();
    const gate = makeGate();
    kit.model.script({ text: ['It took ', 'a while.'], gate });
    const asked = kit.model.requests.length;
    const body = { message: 'A slow one.', stream: false };
    const leaving = new AbortController();
    const first = fetch(`${kit.url}/api/chat/send-chat-message`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${kit.keys.ADMIN}`,
        'content-type': 'application/json',
        'idempotency-key': key,
      },
      body: JSON.stringify(body),
      signal: leaving.signal,
    }).catch(() => 'gone');
    await until(() => kit.model.requests.length > asked);
    expect((await post('/api/chat/send-chat-message', body, key)).status).toBe(409);
    leaving.abort();
    expect(await first).toBe('gone');
    expect((await post('/api/chat/send-chat-message', body, key)).status).toBe(409);
    gate.open();
    const answer = await until(async () => {
      const again = await post('/api/chat/send-chat-message', body, key);
      return again.status === 200 && again;
    });
    expect([answer.body.answer, replayed(answer)]).toEqual(['It took a while.', 'true']);
    expect(kit.model.requests).toHaveLength(asked + 1);
  });
});

describe('a different request with an idempotency key', () => {
  test('returns 422 and changes no data when the key is already in use', async () => {
    const key = newKey();
    await post('/api/admin/api-key', { name: 'first' }, key);
    const before = await kit.fingerprint();
    for (const [path, body] of [
      ['/api/admin/api-key', { name: 'second' }],
      ['/api/user/pats', { name: 'first' }],
      ['/api/admin/api-key?x=1', { name: 'first' }],
    ] as const) {
      const { status, body: answer } = await post(path, body, key);
      expect([status, answer.status_code]).toEqual([422, 422]);
      expect(answer.message).toContain('Idempotency-Key');
    }
    expect(await kit.fingerprint()).toBe(before);
  });

  test('can use the same key when it is sent by another caller', async () => {
    const key = newKey();
    const mine = await post('/api/user/pats', { name: 'mine' }, key);
    const theirs = await post('/api/user/pats', { name: 'mine' }, key, { key: kit.keys.BASIC });
    expect([mine.status, theirs.status]).toEqual([200, 200]);
    expect(theirs.body.token).not.toBe(mine.body.token);
  });

  test('can use the key again after a request that failed', async () => {
    const key = newKey();
    const failed = await post('/api/admin/api-key', { name: 'scoped', scopes: [] }, key);
    expect(failed.status).toBe(400);
    const { status } = await post('/api/admin/api-key', { name: 'scoped', scopes: ['read:chat'] }, key);
    expect(status).toBe(200);
  });

  test('can use the key again after a day', async () => {
    const key = newKey();
    const first = await post('/api/user/pats', { name: 'old' }, key);
    await kit.prisma.idempotencyRecord.updateMany({ data: { createdAt: new Date(Date.now() - 25 * 3600 * 1000) } });
    const next = await post('/api/user/pats', { name: 'new' }, key);
    expect([first.status, next.status]).toEqual([200, 200]);
    await kit.booted.services.idempotency.forget();
    expect(await kit.prisma.idempotencyRecord.count()).toBe(1);
  });
});

describe('rejected requests with an idempotency key', () => {
  test.each(['', 'with space', '\u00fc', 'x'.repeat(256)])(
    'return 422 for the malformed key %j, and change no data',
    async (key) => {
      const before = await kit.fingerprint();
      const { status, body } = await post('/api/user/pats', { name: 'x' }, key);
      expect([status, body.message]).toEqual([422, expect.stringContaining('Idempotency-Key')]);
      expect(await kit.fingerprint()).toBe(before);
    },
  );

  test('return 403 to a caller without the permission, store no data, and do not use up the key', async () => {
    const key = newKey();
    const before = await kit.fingerprint();
    for (const credential of [kit.keys.LIMITED, kit.keys.BASIC]) {
      const { status } = await post('/api/admin/api-key', { name: 'no' }, key, { key: credential });
      expect(status).toBe(403);
    }
    expect(await kit.fingerprint()).toBe(before);
  });

  test('return 403 instead of the stored response when the credential has lost its permission or is disabled', async () => {
    const key = newKey();
    const { id, secret } = await kit.createKey('ADMIN');
    const body = { name: 'before' };
    expect((await post('/api/admin/api-key', body, key, { key: secret })).status).toBe(200);
    await kit.prisma.user.updateMany({ where: { tokens: { some: { id } } }, data: { role: 'BASIC' } });
    expect((await post('/api/admin/api-key', body, key, { key: secret })).status).toBe(403);
    await kit.prisma.token.update({ where: { id }, data: { disabledAt: new Date() } });
    const dead = await post('/api/admin/api-key', body, key, { key: secret });
    expect([dead.status, dead.body.detail]).toEqual([403, 'Access denied. User is not authenticated.']);
  });
});

test('TOK 1 a stored response and its idempotency key cannot be read in the database', async () => {
  const key = newKey();
  const { body } = await post('/api/admin/api-key', { name: 'sealed' }, key);
  const records = await kit.prisma.idempotencyRecord.findMany();
  expect(records.length).toBeGreaterThan(0);
  for (const { reply, hash } of records) {
    const text = Buffer.from(reply ?? []).toString('latin1') + Buffer.from(hash).toString('latin1');
    expect(text).not.toContain(body.api_key);
    expect(text).not.toContain('api_key');
    expect(text).not.toContain(key);
  }
});

test('a claim that was not released because of a database failure can be claimed by the next request', async () => {
  const { db } = kit.booted.foundation;
  const [one, other] = [inMemoryLocks(), inMemoryLocks()].map((locks) => createIdempotencyService(db, locks)) as [
    IdempotencyService,
    IdempotencyService,
  ];
  await one.claim('secret', 'unreleased', ['request']);
  await expect(other.claim('secret', 'unreleased', ['another request'])).rejects.toBeInstanceOf(KeyReusedError);
  const claim = await other.claim('secret', 'unreleased', ['request']);
  expect(claim).toMatchObject({ first: true });
  await expect(other.claim('secret', 'unreleased', ['request'])).rejects.toMatchObject({ code: 'CONFLICT' });
  if (claim.first) await claim.release();
  expect(await other.claim('secret', 'unreleased', ['request'])).toMatchObject({ first: true });
});

test('a claim that a crash left behind can be claimed again after the next start', async () => {
  const { idempotency } = kit.booted.services;
  await idempotency.claim('secret', 'crashed', ['request']);
  await expect(idempotency.claim('secret', 'crashed', ['request'])).rejects.toMatchObject({ code: 'CONFLICT' });
  const restarted = createIdempotencyService(kit.booted.foundation.db, inMemoryLocks());
  await restarted.forgetInterrupted();
  expect(await restarted.claim('secret', 'crashed', ['request'])).toMatchObject({ first: true });
});
