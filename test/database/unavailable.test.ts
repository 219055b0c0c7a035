import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { anythingllm, anythingllmSession } from '../../src/rest/anythingllm/dialect.ts';
import { openai } from '../../src/rest/anythingllm/openai-dialect.ts';
import { downloads } from '../../src/rest/downloads.ts';
import { endpoints } from '../../src/rest/endpoints.ts';
import { oauth } from '../../src/rest/oauth.ts';
import { onyx } from '../../src/rest/onyx/errors.ts';
import { dialectOf } from '../../src/rest/routes.ts';
import { type Answer, type Kit, startKit } from '../kit.ts';

/** A server whose database becomes unavailable. */
let kit: Kit;
/** A socket that was opened before the database became unavailable. */
let socket: WebSocket;

const ready = () => kit.rest('GET', '/health/ready', { key: null });

async function openSocket(): Promise<WebSocket> {
  const opened = new WebSocket(`${kit.url.replace(/^http/, 'ws')}/graphql`, 'graphql-transport-ws');
  await once(opened, 'open');
  opened.send(JSON.stringify({ type: 'connection_init', payload: { Authorization: `Bearer ${kit.keys.ADMIN}` } }));
  return opened;
}

async function heard(from: WebSocket) {
  const [data] = await once(from, 'message');
  return JSON.parse(String(data));
}

beforeAll(async () => {
  kit = await startKit();
  socket = await openSocket();
  expect(await heard(socket)).toEqual({ type: 'connection_ack' });
  expect(await ready()).toMatchObject({ status: 200, body: { status: 'ready' } });
  await kit.booted.foundation.db.close();
});
afterAll(async () => {
  socket?.terminate();
  await kit?.close();
});

/** Returns the warnings and errors that were logged for a request. */
const loggedOf = (requestId: string | null) =>
  kit.log.map((line) => JSON.parse(line)).filter((line) => line.requestId === requestId && line.level > 30);

/** Asserts the properties that all answers share, and returns the body. */
function checked({ status, headers, text, body }: Answer) {
  const requestId = headers.get('x-request-id');
  expect([status, headers.get('retry-after')]).toEqual([503, '5']);
  expect(text).toContain(requestId);
  expect(loggedOf(requestId)).toMatchObject([{ level: 50, msg: 'the database is not available' }]);
  return body;
}

const message = expect.stringMatching(/^The database is not available\. Try again later\. Request id: [0-9a-f-]{36}$/);
const expected = new Map([
  [onyx, { error_code: 'SERVICE_UNAVAILABLE', detail: message }],
  [anythingllm, expect.objectContaining({ error: message })],
  [anythingllmSession, { error: message }],
  [openai, { error: { message, type: 'server_error', param: null, code: 'service_unavailable' } }],
  [oauth, { error: 'temporarily_unavailable', error_description: message }],
]);

describe('a server whose database is unavailable', () => {
  it('every REST endpoint returns 503 in the error format of its dialect', async () => {
    const everyEndpoint = [
      ...endpoints.map((endpoint) => ({
        method: endpoint.method.toUpperCase(),
        path: endpoint.path,
        dialect: dialectOf(endpoint),
      })),
      ...downloads.map(({ path }) => ({ method: 'GET', path, dialect: onyx })),
    ];
    for (const { method, path, dialect } of everyEndpoint) {
      const place = `/api${path.replaceAll(/\{\w+\}/g, randomUUID())}`;
      const answer = await kit.rest(method, place, { ...(method !== 'GET' && { body: {} }) });
      expect([method, path, checked(answer)]).toEqual([method, path, expected.get(dialect)]);
    }
  });

  it('other paths that check the credential return 503 as well', async () => {
    expect(checked(await kit.rest('GET', '/metrics'))).toEqual(expected.get(onyx));
  });

  it('GraphQL returns 503 in the GraphQL error format, with and without a credential', async () => {
    const query = async (query: string, key?: string | null) =>
      checked(await kit.rest('POST', '/graphql', { body: { query }, ...(key !== undefined && { key }) }));
    const error = { message, extensions: { code: 'UNAVAILABLE', reason: 'DATABASE_UNAVAILABLE', retryAfter: 5 } };
    expect(await query('{ viewer { role } }')).toEqual({ errors: [error] });
    const login = 'mutation { login(input: { login: "a@b.example", password: "a password" }) { token } }';
    expect(await query(login, null)).toMatchObject({ errors: [{ ...error, path: ['login'] }], data: { login: null } });
  });

  it('GraphQL over WebSocket returns UNAVAILABLE for an operation, and closes a new socket with 1013', async () => {
    socket.send(JSON.stringify({ id: 'one', type: 'subscribe', payload: { query: '{ viewer { role } }' } }));
    const told = await heard(socket);
    expect(told).toMatchObject({
      id: 'one',
      type: 'error',
      payload: [{ message, extensions: { code: 'UNAVAILABLE' } }],
    });
    const fresh = await openSocket();
    const [code, reason] = await once(fresh, 'close');
    expect(code).toBe(1013);
    const [, requestId] = /^Try again later\. Request id: (\S+)$/.exec(String(reason)) ?? [];
    for (const id of [requestId, /Request id: (\S+)$/.exec(told.payload[0].message)?.[1]])
      expect(loggedOf(id ?? '')).toMatchObject([{ msg: 'the database is not available' }]);
  });

  it('the server reports that it is live but not ready and why, and is not ready while it shuts down', async () => {
    const get = (path: string) => kit.rest('GET', path, { key: null });
    for (const prefix of ['', '/api']) {
      expect(await get(`${prefix}/health`)).toMatchObject({ status: 200, body: { success: true } });
      expect(await get(`${prefix}/health/live`)).toMatchObject({ status: 200, body: { status: 'live' } });
      const answer = await get(`${prefix}/health/ready`);
      expect(answer).toMatchObject({ status: 503, body: { status: 'database_unavailable' } });
      expect(answer.headers.get('retry-after')).toBe('5');
    }
    await kit.booted.drain(0);
    expect(await ready()).toMatchObject({ status: 503, body: { status: 'draining' } });
  });
});
