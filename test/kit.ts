import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serve } from '@hono/node-server';
import pg from 'pg';
import { isPermission, permissionConstant } from '../src/authz/permissions.ts';
import { mentionsSecret, newSecret } from '../src/authz/secret.ts';
import { type Booted, boot } from '../src/boot.ts';
import { errorReasons, hasReason } from '../src/error-reasons.ts';
import { errorCodes } from '../src/errors.ts';
import { logRequests } from '../src/http/access-log.ts';
import { createLog } from '../src/log.ts';
import { readSettings } from '../src/settings.ts';
import type { DatabaseOptions } from '../src/store/database.ts';
import { fingerprints } from './fingerprint.ts';
import { send } from './http-client.ts';
import { type ModelServer, startModelServer } from './model-server.ts';
import { takePGlite, unpackSnapshot } from './pglite.ts';
import { mismatchOf } from './reply-check.ts';
import { testUrl } from './test-url.ts';

export type RoleName = 'LIMITED' | 'BASIC' | 'ADMIN';

export interface Answer<Body = any> {
  status: number;
  headers: Headers;
  text: string;
  /** The parsed body; undefined when it is not JSON. */
  body: Body;
}

export interface GraphQLAnswer {
  status: number;
  headers: Headers;
  data: any;
  errors: { message: string; path?: (string | number)[]; extensions: Record<string, any> }[];
}

/** A server with its own database, reached over real HTTP. Every REST response is compared with openapi.json. */
export interface Kit {
  url: string;
  booted: Booted;
  prisma: Booted['foundation']['db']['prisma'];
  /** A key of each role, created through the API. */
  keys: Record<RoleName, string>;
  model: ModelServer;
  /** The texts of the SQL statements that were sent; cleared by the test that counts them. */
  /** Called with each statement; with its values on PostgreSQL. */
  onStatement?: (text: string, values: unknown[]) => void;
  statements: string[];
  /** The lines of the log. */
  log: string[];
  gql(query: string, variables?: object, key?: string | null): Promise<GraphQLAnswer>;
  rest(
    method: string,
    path: string,
    options?: { key?: string | null; body?: unknown; headers?: Record<string, string> },
  ): Promise<Answer>;
  /** Yields the payloads of a GraphQL subscription over SSE. */
  subscribe(query: string, variables?: object, key?: string | null, signal?: AbortSignal): AsyncGenerator<any>;
  createKey(
    role: RoleName,
    options?: { name?: string; scopes?: string[] },
  ): Promise<{ id: number; secret: string; userId: string }>;
  createPat(
    key: string,
    options?: { scopes?: string[]; expiresInDays?: number },
  ): Promise<{ id: number; secret: string }>;
  /** Creates a person with an account and logs in. */
  person(options?: { email?: string; password?: string; role?: RoleName }): Promise<{
    email: string;
    password: string;
    userId: string;
    /** The secret of the login session. */
    session: string;
  }>;
  /** Uploads a file, waits until its text is extracted or rejected, and returns its ID. */
  upload(
    name: string,
    content: string | Uint8Array<ArrayBuffer>,
    options?: { key?: string; projectId?: number },
  ): Promise<string>;
  ingest(title: string, text: string, options?: { id?: string; link?: string }): Promise<void>;
  /**
   * Returns everything that is stored, except the audit trail and last uses, as one text: equal before and after a
   * denied request.
   */
  fingerprint(): Promise<string>;
  close(): Promise<void>;
}

/** Writes the test database to files, for a server that opens it in a separate thread, as in production. */
async function ownFolder(dataDir: string): Promise<{ options: DatabaseOptions; drop: () => Promise<void> }> {
  await unpackSnapshot(join(dataDir, 'pglite'));
  return { options: { dataDir }, drop: async () => {} };
}

export interface KitOptions {
  /** Runs the embedded database in a separate thread and on files, regardless of `DATABASE_URL`. */
  threaded?: boolean;
  /** Uses the scripted model server instead of the built-in model. */
  scripted?: boolean;
  environment?: Record<string, string>;
  /** Returns the URL under which the server reaches its PostgreSQL database, such as that of a proxy. */
  databaseUrl?: (url: string) => string;
}

/** Returns the input of a mutation with its scopes as GraphQL spells them. A text that is no permission stays as it is. */
export function withScopes<Input extends object>(input: Input): object {
  const { scopes } = input as { scopes?: unknown };
  if (!Array.isArray(scopes)) return input;
  return { ...input, scopes: scopes.map((scope) => (isPermission(scope) ? permissionConstant(scope) : scope)) };
}

/** Returns the values of the root fields that are not null. */
export const returned = (data: object | null): unknown[] => Object.values(data ?? {}).filter((value) => value !== null);

/** Polls until a condition holds; the timeout of the test is the limit. */
export async function until<T>(
  condition: () => Promise<T | null | undefined | false> | T | null | undefined | false,
): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    const value = await condition();
    if (value) return value;
    // Work in this process is done soon; other processes need the processor that polling would use.
    await new Promise((resolve) => (attempt < 50 ? setImmediate(resolve) : setTimeout(resolve, 5)));
  }
}

/** Returns a migrated database for one server, and a function that drops it afterwards. */
export async function ownDatabase(): Promise<{ options: DatabaseOptions; drop: () => Promise<void> }> {
  const server = process.env.DATABASE_URL;
  if (!server) {
    const { lite, giveBack } = await takePGlite();
    return { options: { pglite: lite }, drop: giveBack };
  }
  const name = `latchkey_test_${randomUUID().replaceAll('-', '')}`;
  const onServer = async (sql: string) => {
    const client = new pg.Client({ connectionString: server });
    await client.connect();
    await client.query(sql).finally(() => client.end());
  };
  await onServer(`CREATE DATABASE ${name} TEMPLATE ${process.env.TEST_TEMPLATE}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return { options: { databaseUrl: url.href }, drop: () => onServer(`DROP DATABASE ${name} WITH (FORCE)`) };
}

/** The code of each reason of the catalogue. */
const codes = new Map<unknown, unknown>(Object.entries(errorReasons).map(([reason, { code }]) => [reason, code]));

/**
 * Throws when a GraphQL response has an error whose code is not listed in `errorCodes`, or the error of a service without
 * a reason of the catalogue.
 */
export function expectListedCodes({ errors }: { errors?: unknown } = {}): void {
  for (const error of Array.isArray(errors) ? errors : []) {
    const code: unknown = error?.extensions?.code;
    if (!(errorCodes as readonly unknown[]).includes(code))
      throw new Error(`the error code is not listed in errorCodes: ${JSON.stringify(error)}`);
    const reason: unknown = error.extensions.reason;
    if (hasReason(String(code)) && codes.get(reason) !== code)
      throw new Error(`the error has no reason of its code: ${JSON.stringify(error)}`);
  }
}

export async function startKit({
  scripted = false,
  threaded = false,
  environment = {},
  databaseUrl,
}: KitOptions = {}): Promise<Kit> {
  const model = await startModelServer();
  // Created with the first uploaded file.
  const dataDir = join(tmpdir(), `latchkey-test-${randomUUID()}`);
  const { options, drop } = threaded ? await ownFolder(dataDir) : await ownDatabase();
  const statements: string[] = [];
  /** The kit, once it exists: statements of the start come before it. */
  let observer: Pick<Kit, 'onStatement'> = {};
  const log: string[] = [];
  const passwords: string[] = [];
  const adminKey = newSecret('API_KEY');
  const settings = readSettings({
    PUBLIC_URL: testUrl,
    DATA_DIR: dataDir,
    BOOTSTRAP_ADMIN_KEY: adminKey,
    ...(scripted && {
      LLM_PROVIDER: 'openai-compatible',
      LLM_BASE_URL: model.baseUrl,
      LLM_MODEL: 'scripted',
      LLM_API_KEY: 'sk-upstream',
    }),
    ...environment,
  });
  const booted = await boot({
    settings,
    log: createLog('debug', { write: (line) => log.push(line) }),
    database: {
      ...options,
      ...(databaseUrl && options.databaseUrl && { databaseUrl: databaseUrl(options.databaseUrl) }),
      onStatement: (text, values = []) => {
        statements.push(text);
        observer.onStatement?.(text, values);
      },
    },
  });
  /** Differences between responses and openapi.json, which fail the test file at its end. */
  const mismatches = new Set<string>();
  const compare: typeof mismatchOf = async (...reply) => {
    const mismatch = await mismatchOf(...reply);
    if (mismatch !== null) mismatches.add(mismatch);
    return mismatch;
  };
  const comparedFetch: Booted['fetch'] = async (request, ...rest) => {
    // The server replaces the request that it handles.
    const { url, method } = request;
    const response = await booted.fetch(request, ...rest);
    await compare({ url, method }, response);
    return response;
  };
  const server = serve({ fetch: comparedFetch, port: 0, hostname: '127.0.0.1' }) as Server;
  // A busy test can keep a connection idle for longer than the timeout, and would then write to a closing connection.
  server.keepAliveTimeout = 0;
  logRequests(server, booted.foundation.log);
  booted.attach(server);
  await new Promise<void>((resolve) => (server.listening ? resolve() : server.once('listening', resolve)));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const authorization = (key: string | null | undefined): Record<string, string> =>
    key == null ? {} : { authorization: `Bearer ${key}` };

  const kit: Kit = {
    url,
    booted,
    prisma: booted.foundation.db.prisma,
    keys: { ADMIN: adminKey, BASIC: '', LIMITED: '' },
    model,
    statements,
    log,
    async gql(query, variables = {}, key = kit.keys.ADMIN) {
      const { status, headers, text } = await send(`${url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...authorization(key) },
        body: JSON.stringify({ query, variables }),
      });
      const body = JSON.parse(text) as { data?: any; errors?: any[] };
      expectListedCodes(body);
      const { data = null, errors = [] } = body;
      return { status, headers, data, errors };
    },
    async rest(method, path, { key = kit.keys.ADMIN, body, headers = {} } = {}) {
      const response = await send(`${url}${path}`, {
        method,
        headers: {
          ...(body !== undefined && !(body instanceof FormData) && { 'content-type': 'application/json' }),
          ...authorization(key),
          ...headers,
        },
        ...(body !== undefined && {
          body: typeof body === 'string' || body instanceof FormData ? body : JSON.stringify(body),
        }),
      });
      const { status, text } = response;
      let parsed: unknown;
      try {
        parsed = JSON.parse(text);
      } catch {
        parsed = undefined;
      }
      if (path.startsWith('/graphql')) expectListedCodes(parsed as object | undefined);
      else if (response.headers.has('content-disposition'))
        await compare({ url: `${url}${path}`, method }, new Response(text || null, response), text);
      return { status, headers: response.headers, text, body: parsed };
    },
    async *subscribe(query, variables = {}, key = kit.keys.ADMIN, signal) {
      const response = await fetch(`${url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'text/event-stream', ...authorization(key) },
        body: JSON.stringify({ query, variables }),
        ...(signal && { signal }),
      });
      let buffer = '';
      for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        buffer += chunk;
        const frames = buffer.split('\n\n');
        buffer = frames.pop() ?? '';
        for (const frame of frames) {
          const data = /^data: (.*)$/m.exec(frame)?.[1];
          if (!data) continue;
          const event = JSON.parse(data);
          expectListedCodes(event);
          yield event;
        }
      }
    },
    async createKey(role, { name = role.toLowerCase(), scopes } = {}) {
      const { data, errors } = await kit.gql(
        `mutation ($input: CreateApiKeyInput!) {
          createApiKey(input: $input) { secret apiKey { databaseId user { databaseId } } }
        }`,
        { input: withScopes({ name, role, ...(scopes && { scopes }) }) },
      );
      if (errors.length > 0) throw new Error(JSON.stringify(errors));
      const { secret, apiKey } = data.createApiKey;
      return { id: apiKey.databaseId, secret, userId: apiKey.user.databaseId };
    },
    async createPat(key, { scopes, expiresInDays } = {}) {
      const { data, errors } = await kit.gql(
        `mutation ($input: CreatePersonalAccessTokenInput!) {
          createPersonalAccessToken(input: $input) { secret personalAccessToken { databaseId } }
        }`,
        { input: withScopes({ name: 'test', ...(scopes && { scopes }), ...(expiresInDays && { expiresInDays }) }) },
        key,
      );
      if (errors.length > 0) throw new Error(JSON.stringify(errors));
      const { secret, personalAccessToken } = data.createPersonalAccessToken;
      return { id: personalAccessToken.databaseId, secret };
    },
    async person({
      email = `${randomUUID()}@people.example`,
      password = `password ${email}`.slice(0, 64),
      role = 'BASIC',
    } = {}) {
      passwords.push(password);
      const made = await kit.gql(
        'mutation ($input: CreateUserInput!) { createUser(input: $input) { user { id: databaseId } } }',
        { input: { email, password, role } },
      );
      if (made.errors.length > 0) throw new Error(JSON.stringify(made.errors));
      const login = await kit.gql(
        'mutation ($input: LoginInput!) { login(input: $input) { token } }',
        { input: { login: email, password } },
        null,
      );
      if (login.errors.length > 0) throw new Error(JSON.stringify(login.errors));
      const session = login.data.login.token;
      // The first use changes the expiry of the session, and would change a fingerprint.
      await kit.gql('{ viewer { role } }', {}, session);
      await booted.background.settled();
      return { email, password, userId: made.data.createUser.user.id, session };
    },
    async upload(name, content, { key = kit.keys.ADMIN, projectId } = {}) {
      const form = new FormData();
      form.append('files', new Blob([content]), name);
      if (projectId !== undefined) form.append('project_id', String(projectId));
      const { text } = await send(`${url}/api/user/projects/file/upload`, {
        method: 'POST',
        headers: authorization(key),
        body: form,
      });
      const { user_files: files, rejected_files: rejected } = JSON.parse(text);
      if (!files?.[0]) throw new Error(JSON.stringify(rejected));
      await booted.background.settled();
      return files[0].id;
    },
    async ingest(title, text, { id = title, link = `https://docs.example/${encodeURIComponent(title)}` } = {}) {
      const answer = await kit.rest('POST', '/api/onyx-api/ingestion', {
        body: { document: { id, semantic_identifier: title, sections: [{ text, link }], metadata: {} } },
      });
      if (answer.status !== 200) throw new Error(answer.text);
    },
    fingerprint: fingerprints(booted.foundation.db),
    async close() {
      // Closes connections that the test left open, so that no connection outlives its test file.
      server.closeAllConnections();
      const closed = new Promise((resolve) => server.close(resolve));
      await booted.close();
      await closed;
      await model.close();
      await drop();
      rmSync(dataDir, { recursive: true, force: true });
      // TOK 13: no line of the log contains a secret or a password.
      const told = log.find((line) => mentionsSecret(line) || passwords.some((password) => line.includes(password)));
      // Variables of a test file keep its kit until all files are done.
      statements.length = 0;
      log.length = 0;
      if (told !== undefined) throw new Error(`a secret stands in the log: ${told}`);
      if (mismatches.size > 0) throw new Error(`responses differ from openapi.json:\n${[...mismatches].join('\n')}`);
    },
  };
  observer = kit;
  kit.keys.BASIC = (await kit.createKey('BASIC')).secret;
  kit.keys.LIMITED = (await kit.createKey('LIMITED')).secret;
  return kit;
}
