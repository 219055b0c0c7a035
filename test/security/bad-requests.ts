import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { anythingllm, anythingllmSession } from '../../src/rest/anythingllm/dialect.ts';
import { openai } from '../../src/rest/anythingllm/openai-dialect.ts';
import type { Dialect } from '../../src/rest/dialect.ts';
import type { AnyEndpoint } from '../../src/rest/endpoint.ts';
import { endpoints } from '../../src/rest/endpoints.ts';
import { oauth } from '../../src/rest/oauth.ts';
import { onyx } from '../../src/rest/onyx/errors.ts';
import { dialectOf } from '../../src/rest/routes.ts';
import type { Answer, Kit } from '../kit.ts';
import { insides } from './leak-check.ts';
import { type ServerPair, startServerPair } from './server-pair.ts';

/** Requests that a server rejects, and the error format of each dialect. */
let servers: ServerPair;
/** The server without people. */
export let kit: Kit;
export let peopled: Kit;

/**
 * Starts both servers for the tests of a file. Every request in the file is an error of the caller: the servers must
 * not log an error.
 */
export function startServers(): void {
  beforeAll(async () => {
    servers = await startServerPair({ environment: { GRAPHIQL: 'false' } });
    ({ single: kit, peopled } = servers);
  });
  afterAll(() => servers?.close());
  beforeEach(() => {
    kit.log.length = 0;
    peopled.log.length = 0;
  });
  afterEach(() => {
    expect(failures()).toEqual([]);
  });
}

interface Sent {
  body?: BodyInit;
  headers?: Record<string, string>;
  key?: string | null;
  on?: Kit;
}

export const megabyte = 1024 * 1024;
export const json = { 'content-type': 'application/json' };

export async function send(
  method: string,
  path: string,
  { body, headers = {}, on = kit, key = on.keys.ADMIN }: Sent = {},
): Promise<Answer> {
  const response = await fetch(`${on.url}${path}`, {
    method,
    redirect: 'manual',
    headers: { ...(body !== undefined && json), ...(key && { authorization: `Bearer ${key}` }), ...headers },
    ...(body !== undefined && { body, duplex: 'half' }),
  } as RequestInit);
  const text = await response.text();
  const structured = /^application\/([\w-]+\+)?json\b/.test(response.headers.get('content-type') ?? '') && text !== '';
  return { status: response.status, headers: response.headers, text, body: structured ? JSON.parse(text) : null };
}

/** Sends a GraphQL request with a media type whose status reports an invalid request. */
export const graph = (request: object | string, { headers = {}, ...rest }: Sent = {}) =>
  send('POST', '/graphql', {
    body: typeof request === 'string' ? request : JSON.stringify(request),
    headers: { accept: 'application/graphql-response+json', ...headers },
    ...rest,
  });

/** Expects that a response does not reveal internal details and is not an internal error. */
export function clean({ status, headers, text }: Answer, what: string): void {
  expect(status, `${what}: ${text.slice(0, 500)}`).toBeLessThan(500);
  expect(headers.get('x-request-id'), what).toMatch(/^[0-9a-f-]{36}$/);
  expect(insides(status, text), what).toBeNull();
  expect(text, what).not.toContain('"INTERNAL');
}

const failures = () => [...kit.log, ...peopled.log].filter((line) => JSON.parse(line).level >= 50);

const stored = (kits: readonly Kit[]) =>
  Promise.all(
    kits.map(async ({ booted, fingerprint }) => {
      await booted.background.settled();
      return fingerprint();
    }),
  );

export async function changesNothing(work: () => Promise<void>, kits: readonly Kit[] = [kit]): Promise<void> {
  const before = await stored(kits);
  await work();
  expect(await stored(kits)).toEqual(before);
}

/** Expects that the data is unchanged at the end of a block of rejected requests. */
export function nothingChanges(): void {
  let before: string[];
  beforeAll(async () => {
    before = await stored([kit, peopled]);
  });
  afterEach(async () => {
    expect(await stored([kit])).toEqual(before.slice(0, 1));
  });
  afterAll(async () => {
    expect(await stored([kit, peopled])).toEqual(before);
  });
}

/** The response to a caller: a status, and a body of JSON or text. */
export interface Told {
  status: number;
  body: unknown;
}
export const told = ({ status, body, text }: Answer): Told => ({ status, body: body ?? text });

/** The error format of a family of clients. */
interface Words {
  /** The body for a method that a path does not have, and for an unsupported media type. */
  said(text: unknown): object;
  unreadable(message: unknown): Told;
  wrongField(message: unknown): Told;
  wrongId(message: unknown): Told;
  stranger: Told;
  /** The field names of its error bodies. */
  shapes: string[];
}

const anythingllmWords = {
  said: (error: unknown) => ({ error }),
  unreadable: (error: unknown) => ({ status: 400, body: { error } }),
  wrongField: (error: unknown) => ({ status: 422, body: { error } }),
  wrongId: () => ({ status: 400, body: 'Bad Request' }),
  shapes: ['error'],
};
export const onyxInvalid = (message: unknown): Told => ({
  status: 422,
  body: { status_code: 422, message, data: null },
});
const oauthInvalid = (error_description: unknown) => ({ error: 'invalid_request', error_description });
const oauthWrong = (description: unknown): Told => ({ status: 400, body: oauthInvalid(description) });

const words = new Map<Dialect, Words>([
  [
    onyx,
    {
      said: (detail) => ({ detail }),
      unreadable: onyxInvalid,
      wrongField: onyxInvalid,
      wrongId: onyxInvalid,
      stranger: { status: 403, body: { detail: 'Access denied. User is not authenticated.' } },
      shapes: ['data,message,status_code', 'detail', 'detail,error_code', 'message'],
    },
  ],
  [anythingllm, { ...anythingllmWords, stranger: { status: 403, body: { error: 'No valid api key found.' } } }],
  [anythingllmSession, { ...anythingllmWords, stranger: { status: 401, body: { error: 'No auth token found.' } } }],
  [
    openai,
    {
      said: (message) => ({ error: expect.objectContaining({ message }) }),
      unreadable: (message) => ({ status: 400, body: { error: expect.objectContaining({ message }) } }),
      wrongField: (message) => ({ status: 400, body: { error: expect.objectContaining({ message }) } }),
      wrongId: (message) => ({ status: 400, body: { error: expect.objectContaining({ message }) } }),
      stranger: {
        status: 403,
        body: { error: expect.objectContaining({ message: 'No valid api key found.', code: 'invalid_api_key' }) },
      },
      shapes: ['error'],
    },
  ],
  [
    oauth,
    {
      said: oauthInvalid,
      unreadable: oauthWrong,
      wrongField: oauthWrong,
      wrongId: oauthWrong,
      stranger: {
        status: 401,
        body: { error: 'invalid_token', error_description: 'A valid credential is required.' },
      },
      shapes: ['error,error_description'],
    },
  ],
]);
export function wordsOf(row: AnyEndpoint): Words {
  const found = words.get(dialectOf(row));
  if (!found) throw new Error(`${row.path}: say above how its dialect tells what is wrong`);
  return found;
}

/** Expects an error in the format of the endpoint's dialect. */
export function inWordsOf(row: AnyEndpoint, reply: Answer, what: string): void {
  expect(reply.status, `${what}: ${reply.text}`).toBeGreaterThanOrEqual(400);
  expect(wordsOf(row).shapes, what).toContain(
    Object.keys(reply.body ?? {})
      .sort()
      .join(),
  );
}

/** Endpoints with lenient parsing, each with its own responses, are tested in loose-input.test.ts. */
export const exact = (row: AnyEndpoint) =>
  ![anythingllm, openai].includes(dialectOf(row)) && !row.invalid && !row.path.startsWith('/invite/');
/** Returns whether a preflight request of another origin is answered. */
export const preflighted = (path: string) => path.startsWith('/embed/');

/** Returns where an endpoint is served: paths of Onyx clients and of standards at the root as well. */
export const prefixesOf = (row: AnyEndpoint): string[] => (dialectOf(row).atRoot ? ['/api', ''] : ['/api']);
export const serverOf = (row: AnyEndpoint): Kit => servers.of(row);

export const pattern = (path: string) => new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`);
/** Returns the endpoint of a path. */
export function rowAt(method: string, path: string): AnyEndpoint {
  const bare = path.replace(/^\/api\b|\?.*$/g, '').replace(/\?.*$/, '');
  const found = endpoints.find((row) => row.method === method.toLowerCase() && pattern(row.path).test(bare));
  if (!found) throw new Error(`no row is ${method} ${path}`);
  return found;
}

export const nested = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`;
export const bytes = (...parts: (string | number[])[]) =>
  Uint8Array.from(
    Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from(part)))),
  );
