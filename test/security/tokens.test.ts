import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Permission, permissions, rolePermissions } from '../../src/authz/permissions.ts';
import { checksum, hashSecret, newSecret } from '../../src/authz/secret.ts';
import { createAuthenticator } from '../../src/modules/tokens/authenticate.ts';
import { permissionNames } from '../../src/rest/permission-names.ts';
import type { Background } from '../../src/store/background.ts';
import type { Database } from '../../src/store/database.ts';
import { type Answer, type GraphQLAnswer, type Kit, startKit, until, withScopes } from '../kit.ts';
import { deleteKey, regenerateKey, revokePat, updateKey } from './keys.ts';

/** Secrets of the server that no response may contain. */
const settings = { AUTH_TOKEN: 'the owner’s own password', LLM_API_KEY: 'sk-provider-0123456789' };

let kit: Kit;
beforeAll(async () => {
  kit = await startKit({ environment: settings });
});
afterAll(() => kit.close());
afterEach(() => {
  vi.useRealTimers();
});

const createKey = (input: object, key?: string) =>
  kit.gql(
    'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret apiKey { databaseId } } }',
    { input: withScopes(input) },
    key,
  );
const createPat = (input: object, key: string) =>
  kit.gql(
    'mutation ($input: CreatePersonalAccessTokenInput!) { createPersonalAccessToken(input: $input) { secret } }',
    { input: withScopes(input) },
    key,
  );
const permissionsOf = async (secret: string): Promise<string[] | null> => {
  const found = (await kit.gql('{ viewer { permissions } }', {}, secret)).data?.viewer;
  return found ? permissionNames(found.permissions) : null;
};
const code = ({ errors }: GraphQLAnswer): unknown => errors[0]?.extensions.code;

/** Returns the 36 secret characters. */
const random = (secret: string) => secret.slice(-36);
/** Returns whether a secret works. Both APIs must agree. */
async function works(secret: string): Promise<boolean> {
  const [graph, rest] = [await permissionsOf(secret), await kit.rest('GET', '/api/me', { key: secret })];
  expect(rest.status).toBe(graph ? 200 : 403);
  return graph !== null;
}

/** Returns every table of the database, including the audit trail, as JSON text. */
async function dump(): Promise<string> {
  const tables = await kit.prisma.$queryRaw<{ name: string }[]>`SELECT table_name AS name FROM information_schema.tables
    WHERE table_schema = 'public' AND table_type = 'BASE TABLE'`;
  const parts = [];
  for (const { name } of tables)
    parts.push(
      await kit.prisma.$queryRawUnsafe<{ rows: string | null }[]>(
        `SELECT '${name}: ' || json_agg(to_jsonb(t))::text AS rows FROM "${name}" t`,
      ),
    );
  return parts.map(([table]) => table?.rows ?? '').join('\n');
}

/** Secrets that do not work, each for another reason, by the name of the reason. */
async function deadSecrets(): Promise<Record<string, string>> {
  const owner = await kit.createKey('BASIC');
  const [revoked, expired, ofDisabled] = [
    await kit.createPat(owner.secret),
    await kit.createPat(owner.secret),
    await kit.createPat(owner.secret),
  ];
  await revokePat(kit, revoked.id, owner.secret);
  await kit.prisma.token.update({ where: { id: expired.id }, data: { expiresAt: new Date() } });
  const expiredKey = await kit.createKey('BASIC');
  await kit.prisma.token.update({ where: { id: expiredKey.id }, data: { expiresAt: new Date() } });
  const deleted = await kit.createKey('BASIC');
  await deleteKey(kit, deleted.id);
  const regenerated = await kit.createKey('BASIC');
  await regenerateKey(kit, { id: regenerated.id });
  const overlapped = await kit.createKey('BASIC');
  await regenerateKey(kit, { id: overlapped.id, overlapMinutes: 5 });
  await kit.prisma.token.update({ where: { id: overlapped.id }, data: { previousExpiresAt: new Date() } });
  const leaving = await kit.person();
  await kit.gql('mutation { logout { __typename } }', {}, leaving.session);
  const idle = await kit.person();
  await kit.prisma.token.updateMany({ where: { userId: idle.userId }, data: { expiresAt: new Date() } });
  const project = await kit.rest('POST', '/api/user/projects/create?name=dead', { key: owner.secret });
  const confined = await kit.gql(
    'mutation ($id: ID!) { createProjectToken(input: { projectId: $id }) { secret } }',
    { id: project.body.id },
    owner.secret,
  );
  await updateKey(kit, { id: owner.id, disabled: true });
  const unknown = newSecret('API_KEY');
  return {
    'an unknown key': unknown,
    'an unknown personal token': newSecret('PERSONAL'),
    'a revoked personal token': revoked.secret,
    'an expired personal token': expired.secret,
    'an expired key': expiredKey.secret,
    'a disabled key': owner.secret,
    'a personal token of a disabled key': ofDisabled.secret,
    'a deleted key': deleted.secret,
    'a regenerated key': regenerated.secret,
    'a key whose overlap is over': overlapped.secret,
    'an unknown sk- key': newSecret('ANYTHINGLLM'),
    'an unknown project token': newSecret('PROJECT'),
    'an unknown session': newSecret('SESSION'),
    'a session that was logged out': leaving.session,
    'a session that was not used for 7 days': idle.session,
    'a token of a project whose owner is switched off': confined.data.createProjectToken.secret,
    'a session under the prefix of keys': `on_${random(leaving.session)}`,
    'a key under the prefix of personal tokens': `onyx_pat_${random(kit.keys.BASIC)}`,
    'a kind that there is not': `dn_${random(unknown)}`,
    'a wrong checksum': `${unknown.slice(0, -1)}${unknown.endsWith('0') ? '1' : '0'}`,
    'a secret cut short': unknown.slice(0, -1),
    'a secret with more behind it': `${unknown}0`,
    'a prefix alone': 'on_',
    'a word': 'garbage',
    'a text with dots': 'a.b.c',
    'the display form': `${kit.keys.BASIC.slice(0, 7)}********${kit.keys.BASIC.slice(-4)}`,
  };
}

describe('stored secrets', () => {
  test('TOK 1 are never raw: a database dump contains no secret, however it was created or sent', async () => {
    const { data } = await createKey({ name: 'dumped', role: 'BASIC' });
    const first: string = data.createApiKey.secret;
    const { databaseId } = data.createApiKey.apiKey;
    const second = await regenerateKey(kit, { id: databaseId, overlapMinutes: 5 });
    const viaRest = (await kit.rest('POST', '/api/admin/api-key', { body: { name: 'dumped too' } })).body.api_key;
    const pat = (await kit.rest('POST', '/api/user/pats', { key: second, body: { name: 'dumped' } })).body.token;
    const sk = (await createKey({ kind: 'ANYTHINGLLM', role: 'BASIC' })).data.createApiKey.secret;
    const project = await kit.rest('POST', '/api/user/projects/create?name=dumped', { key: kit.keys.ADMIN });
    const confined = (await createKey({ projectId: project.body.id })).data.createApiKey.secret;
    const { email, password, session } = await kit.person();
    const login = { login: email, password };
    const logIn = 'mutation ($input: LoginInput!) { login(input: $input) { token } }';
    const again = (await kit.gql(logIn, { input: login }, null)).data.login.token;
    const reset = await kit.rest('POST', '/api/password/reset_password', {
      body: { user_email: (await kit.person()).email },
    });
    const sealed = await kit.rest('POST', '/api/admin/api-key', {
      body: { name: 'sealed' },
      headers: { 'idempotency-key': 'dumped' },
    });
    const secrets = [kit.keys.ADMIN, first, second, viaRest, pat, sk, confined, session, again, sealed.body.api_key];
    for (const secret of secrets) expect(await works(secret)).toBe(true);
    await kit.gql(logIn, { input: { ...login, password: 'mistyped-9f3c1a' } }, null);
    // Used, denied, and sent in a header that the audit trail stores.
    const dead = await deadSecrets();
    for (const secret of Object.values(dead))
      await kit.rest('GET', '/api/me', { key: secret, headers: { 'user-agent': `curl ${secret}` } });
    await kit.rest('GET', '/api/admin/api-key', { key: pat, headers: { 'user-agent': `curl\t${pat}` } });
    await kit.booted.background.settled();

    const everything = await dump();
    for (const hidden of [
      password,
      'mistyped-9f3c1a',
      reset.body.new_password,
      settings.AUTH_TOKEN,
      settings.LLM_API_KEY,
    ])
      expect(everything).not.toContain(hidden);
    for (const secret of secrets) {
      expect(everything).toContain(hashSecret(secret).toString('hex'));
      for (const form of ['utf8', 'hex', 'base64', 'base64url'] as const)
        expect(everything).not.toContain(
          Buffer.from(form === 'utf8' ? random(secret) : secret)
            .toString(form)
            .replace(/=+$/, ''),
        );
    }
    for (const [name, secret] of Object.entries(dead))
      if (secret.length > 36 && name !== 'the display form') expect(everything).not.toContain(random(secret));
    expect(everything).toContain('curl on_[redacted]');
  });

  test('TOK 4 are looked up by hash only, so the display form and the hash itself do not authenticate', async () => {
    const { id, secret } = await kit.createKey('BASIC');
    const [{ hash }] = [await kit.prisma.token.findUniqueOrThrow({ where: { id } })];
    expect(Buffer.from(hash)).toEqual(hashSecret(secret));
    await kit.booted.background.settled();
    kit.statements.length = 0;
    await kit.rest('GET', '/api/me', { key: secret });
    const lookUps = kit.statements.filter((text) => /FROM "Token"/.test(text));
    expect(lookUps).toHaveLength(1);
    expect(lookUps[0]?.slice(lookUps[0].indexOf('WHERE'))).toBe('WHERE t."hash" = $1 OR t."previousHash" = $1');
    // Only the stored hash counts: with the hash of another secret, that secret is the key.
    const other = newSecret('API_KEY');
    await kit.prisma.token.update({ where: { id }, data: { hash: Uint8Array.from(hashSecret(other)) } });
    expect([await works(secret), await works(other)]).toEqual([false, true]);
    // The hash itself, in any encoding, is not a secret.
    for (const form of ['hex', 'base64', 'base64url'] as const) {
      expect(await works(hashSecret(other).toString(form))).toBe(false);
      expect(await works(`on_${hashSecret(other).toString(form).slice(0, 36)}`)).toBe(false);
    }
  });

  test('TOK 22 are not compared: a secret that differs in one character is treated like any unknown secret', async () => {
    const { secret } = await kit.createKey('BASIC');
    await works(secret);
    const twin = (position: number) => {
      const body = [...secret.slice(3, 33)];
      body[position] = body[position] === 'A' ? 'B' : 'A';
      return `on_${body.join('')}${checksum(body.join(''))}`;
    };
    const cost = async (presented: string) => {
      await kit.booted.background.settled();
      kit.statements.length = 0;
      const { status, text } = await kit.rest('GET', '/api/me', { key: presented });
      await kit.booted.background.settled();
      return { status, text, statements: [...kit.statements] };
    };
    const foreign = await cost(newSecret('API_KEY'));
    expect(foreign.statements).toHaveLength(1);
    for (const position of [0, 1, 15, 28, 29]) expect(await cost(twin(position))).toEqual(foreign);
  });
});

describe('displayed secrets', () => {
  test('TOK 2 are returned exactly once, at creation and at regeneration', async () => {
    const count = (answer: { text: string }, secret: string) => answer.text.split(random(secret)).length - 1;
    const replies: Answer[] = [];
    const made: string[] = [];
    const send = async (query: string, variables: object, key = kit.keys.ADMIN) => {
      const answer = await kit.rest('POST', '/graphql', { key, body: { query, variables } });
      expect(answer.body.errors).toBeUndefined();
      replies.push(answer);
      return answer;
    };
    const field = `databaseId name display scopes createdAt expiresAt lastUsedAt`;
    const key = await send(`mutation { createApiKey(input: { name: "once" }) { secret apiKey { id ${field} } } }`, {});
    const { secret, apiKey } = key.body.data.createApiKey;
    made.push(secret);
    const again = await send(
      `mutation ($id: ID!) { regenerateApiKey(input: { id: $id, overlapMinutes: 5 }) { secret apiKey { id ${field} } } }`,
      { id: apiKey.databaseId },
    );
    made.push(again.body.data.regenerateApiKey.secret);
    const pat = await send(
      `mutation { createPersonalAccessToken(input: { name: "once" }) { secret personalAccessToken { id ${field} } } }`,
      {},
      again.body.data.regenerateApiKey.secret,
    );
    const token = pat.body.data.createPersonalAccessToken;
    made.push(token.secret);
    for (const [method, path, body] of [
      ['POST', '/api/admin/api-key', { name: 'once by REST' }],
      ['POST', `/api/admin/api-key/${apiKey.databaseId}/regenerate`, { keep_derived: true }],
      ['POST', '/api/user/pats', { name: 'once by REST' }],
    ] as const) {
      const answer = await kit.rest(method, path, { body });
      replies.push(answer);
      made.push(answer.body.api_key ?? answer.body.token);
    }
    expect(new Set(made).size).toBe(6);

    const ofPat = token.secret;
    await send(
      `mutation ($id: ID!) { updateApiKey(input: { id: $id, name: "still once" }) { apiKey { id ${field} } } }`,
      {
        id: apiKey.databaseId,
      },
    );
    await send(
      `{ apiKeys(first: 50) { nodes { id ${field} } edges { cursor } } viewer { user { name email } token { name scopes } } }`,
      {},
    );
    await send(`query ($id: ID!) { node(id: $id) { id ... on ApiKey { ${field} } } }`, { id: apiKey.id });
    await send(
      `{ personalAccessTokens { nodes { id ${field} } edges { cursor } } viewer { user { name } token { name } } }`,
      {},
      ofPat,
    );
    await send(
      `query ($id: ID!) { node(id: $id) { id ... on PersonalAccessToken { ${field} } } }`,
      { id: token.personalAccessToken.id },
      ofPat,
    );
    for (const [path, as] of [
      ['/api/admin/api-key', kit.keys.ADMIN],
      ['/api/user/pats', kit.keys.ADMIN],
      ['/api/user/pats', ofPat],
      ['/api/me', ofPat],
    ] as const)
      replies.push(await kit.rest('GET', path, { key: as }));
    replies.push(await kit.rest('PATCH', `/api/admin/api-key/${apiKey.databaseId}`, { body: { name: 'patched' } }));
    await send(
      `mutation ($id: ID!) { revokePersonalAccessToken(input: { id: $id }) { personalAccessToken { ${field} } } }`,
      { id: token.personalAccessToken.databaseId },
      ofPat,
    );
    expect(replies).toHaveLength(17);
    for (const one of made)
      expect(replies.map((answer) => count(answer, one)).reduce((sum, found) => sum + found)).toBe(1);
  });

  test('TOK 12 appear in lists in their display form only', async () => {
    const key = await kit.createKey('BASIC');
    const pat = await kit.createPat(key.secret);
    const keys = await kit.rest('GET', '/api/admin/api-key');
    const pats = await kit.rest('GET', '/api/user/pats', { key: key.secret });
    const shownKey = keys.body.find(({ api_key_id }: { api_key_id: number }) => api_key_id === key.id);
    expect(shownKey).toMatchObject({
      api_key: null,
      api_key_display: `${key.secret.slice(0, 7)}********${key.secret.slice(-4)}`,
    });
    expect(pats.body).toMatchObject([{ token_display: `${pat.secret.slice(0, 12)}****${pat.secret.slice(-4)}` }]);
    expect(Object.keys(pats.body[0])).not.toContain('token');
    for (const text of [keys.text, pats.text])
      for (const secret of [kit.keys.ADMIN, key.secret, pat.secret])
        for (let at = 0; at + 8 <= 36; at++) expect(text).not.toContain(random(secret).slice(at, at + 8));
  });
});

describe('authentication', () => {
  test('TOK 3 rejects a wrong checksum, prefix or length without a database query', async () => {
    const good = newSecret('API_KEY');
    const bad = [
      `${good.slice(0, -1)}${good.endsWith('0') ? '1' : '0'}`,
      `on_${'A'.repeat(36)}`,
      `onyx_pat_${'0'.repeat(36)}`,
      ...['proj_', 'sk-', 'ses_'].map((prefix) => `${prefix}${'A'.repeat(36)}`),
      `sk-${'A'.repeat(28)}`,
      `sk-${newSecret('ANYTHINGLLM').slice(4)}A`,
      `gsk_${random(good)}`,
      `dn_${random(good)}`,
      good.slice(1),
      'on_',
      'x'.repeat(5000),
    ];
    await kit.booted.background.settled();
    kit.statements.length = 0;
    for (const key of bad) {
      expect((await kit.gql('{ viewer { role } }', {}, key)).status).toBe(401);
      for (const path of ['/api/me', '/api/admin/api-key', '/user/pats'])
        expect((await kit.rest('GET', path, { key })).status).toBe(403);
      const sent = await kit.rest('POST', '/api/chat/send-chat-message', { key, body: { message: 'Hi' } });
      expect(sent.status).toBe(403);
      const bare = await kit.rest('GET', '/api/me', { key: null, headers: { 'x-onyx-authorization': key } });
      expect(bare.status).toBe(403);
    }
    await kit.booted.background.settled();
    expect(kit.statements).toEqual([]);
    // The counter works: a well-formed unknown secret costs one query.
    await kit.rest('GET', '/api/me', { key: good });
    expect(kit.statements).toHaveLength(1);
  });

  test('TOK 14 returns one identical response for every invalid credential', async () => {
    const dead = await deadSecrets();
    const authorizations = Object.entries(dead).map(([name, secret]) => [name, `Bearer ${secret}`] as const);
    const others = [
      ['another scheme', `Basic ${Buffer.from(`user:${kit.keys.BASIC}`).toString('base64')}`],
      ['a scheme of no meaning', `Token ${kit.keys.BASIC}`],
    ] as const;
    const stream = JSON.stringify({ query: 'subscription { chatTurn(input: { message: "Hi" }) { __typename } }' });
    const mutation = JSON.stringify({ query: 'mutation { createApiKey(input: {}) { secret } }' });
    const requests: [string, string, string | undefined, Record<string, string>, number][] = [
      ['POST', '/graphql', '{"query":"{ viewer { role } }"}', {}, 401],
      ['POST', '/graphql', mutation, {}, 401],
      ['POST', '/graphql', stream, { accept: 'text/event-stream' }, 401],
      ['GET', '/graphql?query=%7B__typename%7D', undefined, {}, 401],
      ['GET', '/api/me', undefined, {}, 403],
      ['GET', '/me/permissions', undefined, {}, 403],
      ['GET', '/api/admin/api-key', undefined, {}, 403],
      ['PATCH', '/api/admin/api-key/1', '{"name":"x"}', {}, 403],
      ['POST', '/api/user/pats', 'not even JSON', {}, 403],
      ['DELETE', '/user/pats/1', undefined, {}, 403],
      ['POST', '/api/chat/send-chat-message', '{"message":"Hi"}', {}, 403],
      ['POST', '/api/chat/send-chat-message', '{"message":"Hi","stream":false}', {}, 403],
    ];
    const before = await kit.fingerprint();
    for (const [method, path, body, headers, status] of requests) {
      const replies = new Map<string, string[]>();
      for (const [name, authorization] of [...authorizations, ...others]) {
        const answer = await kit.rest(method, path, {
          key: null,
          ...(body && { body }),
          headers: { ...headers, authorization },
        });
        const { date: _date, 'x-request-id': _id, ...rest } = Object.fromEntries(answer.headers);
        const reply = JSON.stringify([answer.status, answer.text, rest]);
        replies.set(reply, [...(replies.get(reply) ?? []), name]);
        expect(answer.status).toBe(status);
      }
      // Shows the differing responses, if any.
      expect([...replies.values()]).toHaveLength(1);
    }
    expect(await kit.fingerprint()).toBe(before);
  });

  test('TOK 18 returns 401 with WWW-Authenticate to anonymous clients and for invalid credentials', async () => {
    const query = '{ apiKeys { totalCount } }';
    const stranger = await kit.gql(query, {}, null);
    expect([stranger.status, code(stranger), stranger.headers.get('www-authenticate')]).toEqual([
      401,
      'UNAUTHENTICATED',
      'Bearer',
    ]);
    const refused = await kit.gql(query, {}, newSecret('API_KEY'));
    expect([refused.status, code(refused), refused.headers.get('www-authenticate')]).toEqual([
      401,
      'UNAUTHENTICATED',
      'Bearer error="invalid_token"',
    ]);
    // An authenticated caller without permission gets another response.
    const limited = await kit.gql(query, {}, kit.keys.LIMITED);
    expect([code(limited), limited.headers.get('www-authenticate')]).toEqual(['FORBIDDEN', null]);
    expect(limited.status).not.toBe(401);
  });

  test('TOK 20 rejects a token in the URL on GraphQL, REST and pages, even together with a valid header', async () => {
    const { secret } = await kit.createKey('ADMIN');
    const pat = await kit.createPat(secret);
    const before = await kit.fingerprint();
    const paths = [
      '/graphql',
      '/api/me',
      '/me',
      '/api/admin/api-key',
      '/',
      '/api/docs',
      '/api/openapi.json',
      '/guide/README.md',
      '/health',
      '/nowhere',
    ];
    const queries = [
      `token=${secret}`,
      `access_token=${pat.secret}`,
      `authorization=Bearer%20${secret}`,
      `a=1&b[]=${secret}&c=2`,
      `x=${secret.replace('on_', '%6Fn_')}`,
      `x=pre${secret}`,
      `${secret}`,
      `token=${secret.slice(0, 20)}`,
      `token=${newSecret('API_KEY')}`,
      `query=${encodeURIComponent(`{ viewer { role } } # ${secret}`)}`,
    ];
    for (const path of paths)
      for (const [index, query] of queries.entries()) {
        const answer = await kit.rest('GET', `${path}?${query}`, { key: index % 2 === 0 ? null : secret });
        expect([path, query, answer.status]).toEqual([path, query, 400]);
        const detail = path === '/graphql' ? answer.body.errors[0].message : answer.body.detail;
        expect(detail).toContain('not accepted in the URL');
        expect(answer.text).not.toContain(random(secret).slice(0, 8));
      }
    const posted = await kit.rest('POST', `/api/admin/api-key?key=${secret}`, { key: secret, body: { name: 'x' } });
    expect(posted.status).toBe(400);
    expect(await kit.fingerprint()).toBe(before);
    // Parameters with similar names are accepted.
    const page = await kit.rest(
      'GET',
      '/api/chat/get-user-chat-sessions?only_non_project_chats=true&session_identifier=12345678',
    );
    expect(page.status).toBe(200);
  });
});

describe('the location of a credential', () => {
  const viewer = JSON.stringify({ query: '{ viewer { user { name } } }' });
  const rest = (headers: Record<string, string>) => kit.rest('GET', '/api/me', { key: null, headers });
  const graphql = (headers: Record<string, string>) =>
    kit.rest('POST', '/graphql', { key: null, body: viewer, headers });
  const refused = { detail: 'Unauthorized' };
  let key: { secret: string; userId: string };
  let pat: string;
  beforeAll(async () => {
    key = await kit.createKey('BASIC', { name: 'header' });
    pat = (await kit.createPat(key.secret)).secret;
  });

  test('a bare on_… key is accepted by REST endpoints and rejected by /graphql', async () => {
    for (const name of ['authorization', 'x-onyx-authorization'])
      for (const value of [key.secret, `  ${key.secret} `, `Bearer ${key.secret}`, `Bearer   ${key.secret}`])
        expect([(await rest({ [name]: value })).body.id, name, value]).toEqual([key.userId, name, value]);
    expect((await graphql({ authorization: key.secret })).status).toBe(401);
    expect((await graphql({ authorization: `Bearer ${key.secret}` })).body.data.viewer.user.name).toBe('header');
  });

  test('X-Onyx-Authorization takes precedence over Authorization in REST and is ignored by /graphql', async () => {
    const both = (onyx: string, plain: string) => ({ 'x-onyx-authorization': onyx, authorization: plain });
    const [good, other, bad] = [`Bearer ${key.secret}`, `Bearer ${kit.keys.LIMITED}`, `Bearer ${newSecret('API_KEY')}`];
    expect((await rest(both(good, other))).body.id).toBe(key.userId);
    expect((await rest(both(key.secret, bad))).body.id).toBe(key.userId);
    const wins = await rest(both(bad, good));
    expect([wins.status, wins.body]).toEqual([403, refused]);
    // An empty credential counts as absent.
    expect((await rest(both('', good))).body.id).toBe(key.userId);
    expect((await graphql({ 'x-onyx-authorization': good })).body.data.viewer).toBeNull();
    expect((await graphql(both(bad, good))).body.data.viewer.user.name).toBe('header');
    expect((await graphql(both(good, bad))).status).toBe(401);
  });

  test('a bare personal token is rejected everywhere and accepted with Bearer', async () => {
    for (const name of ['authorization', 'x-onyx-authorization']) {
      const bare = await rest({ [name]: pat });
      expect([bare.status, bare.body]).toEqual([403, refused]);
      expect((await rest({ [name]: `Bearer ${pat}` })).body.id).toBe(key.userId);
    }
    expect((await graphql({ authorization: pat })).status).toBe(401);
    expect((await graphql({ authorization: `Bearer ${pat}` })).body.data.viewer.user.name).toBe('header');
  });

  test('two tokens in one header, a cookie and a body field do not authenticate', async () => {
    expect((await rest({ authorization: `Bearer ${key.secret}, Bearer ${pat}` })).status).toBe(403);
    expect((await rest({ authorization: `Bearer ${key.secret} ${pat}` })).status).toBe(403);
    expect((await rest({ cookie: `fastapiusersauth=${key.secret}; token=${pat}` })).status).toBe(403);
    const body = { name: 'x', token: kit.keys.ADMIN, api_key: kit.keys.ADMIN };
    expect((await kit.rest('POST', '/api/admin/api-key', { key: null, body })).status).toBe(403);
  });
});

describe('the end of a token', () => {
  test('TOK 5 TOK 9 revoked, disabled, deleted and regenerated tokens are rejected by the very next request', async () => {
    const owner = await kit.createKey('BASIC');
    const ends: [string, () => Promise<{ dies: string[]; lives: string[]; end: () => Promise<unknown> }>][] = [
      [
        'revoked',
        async () => {
          const [one, other] = [await kit.createPat(owner.secret), await kit.createPat(owner.secret)];
          return {
            dies: [one.secret],
            lives: [other.secret, owner.secret],
            end: () => revokePat(kit, one.id, owner.secret),
          };
        },
      ],
      [
        'disabled, with the tokens of its user',
        async () => {
          const key = await kit.createKey('BASIC');
          const pat = await kit.createPat(key.secret);
          const end = () => updateKey(kit, { id: key.id, disabled: true });
          return { dies: [key.secret, pat.secret], lives: [owner.secret], end };
        },
      ],
      [
        'deleted, with the tokens of its user',
        async () => {
          const key = await kit.createKey('BASIC');
          const pat = await kit.createPat(key.secret);
          return { dies: [key.secret, pat.secret], lives: [owner.secret], end: () => deleteKey(kit, key.id) };
        },
      ],
      [
        'regenerated, with the tokens that it created',
        async () => {
          const key = await kit.createKey('BASIC');
          const pat = await kit.createPat(key.secret);
          return {
            dies: [key.secret, pat.secret],
            lives: [owner.secret],
            end: () => regenerateKey(kit, { id: key.id }),
          };
        },
      ],
      [
        'regenerated, without the tokens that it created',
        async () => {
          const key = await kit.createKey('BASIC');
          const pat = await kit.createPat(key.secret);
          return {
            dies: [key.secret],
            lives: [pat.secret, owner.secret],
            end: () => regenerateKey(kit, { id: key.id, keepDerivedCredentials: true }),
          };
        },
      ],
      [
        'of a user who is deactivated',
        async () => {
          const key = await kit.createKey('BASIC');
          const pat = await kit.createPat(key.secret);
          const end = () => kit.prisma.user.update({ where: { id: key.userId }, data: { active: false } });
          return { dies: [key.secret, pat.secret], lives: [owner.secret], end };
        },
      ],
    ];
    for (const [name, prepare] of ends) {
      const { dies, lives, end } = await prepare();
      for (const secret of [...dies, ...lives]) expect([name, await works(secret)]).toEqual([name, true]);
      await end();
      for (const secret of dies) expect([name, await works(secret)]).toEqual([name, false]);
      for (const secret of lives) expect([name, await works(secret)]).toEqual([name, true]);
    }
  });

  test('TOK 6 expiry is determined by the server’s clock, not by headers of the client', async () => {
    const { id, secret } = await kit.createKey('BASIC');
    const past = {
      date: 'Mon, 01 Jan 2001 00:00:00 GMT',
      'x-date': '2001-01-01',
      'if-modified-since': 'Mon, 01 Jan 2001 00:00:00 GMT',
    };
    await kit.prisma.token.update({ where: { id }, data: { expiresAt: new Date(Date.now() + 3_600_000) } });
    const future = { ...past, date: 'Fri, 01 Jan 2100 00:00:00 GMT' };
    expect((await kit.rest('GET', '/api/me', { key: secret, headers: future })).status).toBe(200);
    await kit.prisma.token.update({ where: { id }, data: { expiresAt: new Date() } });
    expect((await kit.rest('GET', '/api/me', { key: secret, headers: past })).status).toBe(403);
    expect(await works(secret)).toBe(false);
  });

  test('TOK 6 a token and an overlap are valid until their last millisecond', async () => {
    const secret = newSecret('API_KEY');
    const end = new Date('2030-01-01T23:59:59.999Z');
    const row: Record<string, unknown> = {
      current: true,
      expiresAt: end,
      allScopes: true,
      role: 'BASIC',
      active: true,
    };
    const audited: unknown[] = [];
    const db = { query: async () => [row] } as unknown as Database;
    const refused = (entry: { detail?: { reason?: unknown } }) => audited.push(entry.detail?.reason);
    const { authenticate } = createAuthenticator(db, { refused } as never, { run() {} } as unknown as Background);
    const client = { address: null, userAgent: null };
    vi.useFakeTimers({ toFake: ['Date'], now: end.getTime() - 1 });
    expect(await authenticate(secret, client)).toMatchObject({ role: 'BASIC' });
    vi.setSystemTime(end);
    expect(await authenticate(secret, client)).toBeNull();
    Object.assign(row, { expiresAt: null, current: false, previousExpiresAt: end });
    expect(await authenticate(secret, client)).toBeNull();
    vi.setSystemTime(end.getTime() - 1);
    expect(await authenticate(secret, client)).toMatchObject({ role: 'BASIC' });
    expect(audited).toEqual(['expired', 'regenerated']);
  });

  test('TOK 16 both secrets work during an overlap, and the old one is rejected afterwards', async () => {
    const { id, secret: old } = await kit.createKey('BASIC', { scopes: ['read:chat'] });
    const secret = await regenerateKey(kit, { id, overlapMinutes: 60 });
    expect([await permissionsOf(old), await permissionsOf(secret)]).toEqual([['read:chat'], ['read:chat']]);
    await kit.prisma.token.update({ where: { id }, data: { previousExpiresAt: new Date() } });
    expect([await works(old), await works(secret)]).toEqual([false, true]);
    // During an overlap, disabling and deleting apply to both secrets.
    const newest = await regenerateKey(kit, { id, overlapMinutes: 60 });
    await updateKey(kit, { id, disabled: true });
    expect([await works(secret), await works(newest)]).toEqual([false, false]);
    await updateKey(kit, { id, disabled: false });
    expect([await works(secret), await works(newest)]).toEqual([true, true]);
    await deleteKey(kit, id);
    expect([await works(secret), await works(newest)]).toEqual([false, false]);
  });
});

describe('permissions', () => {
  test('TOK 7 an API key can grant every permission that it has, and no other', async () => {
    const grantable = permissions.filter((name) => name !== 'manage:api_keys');
    const before = await kit.prisma.token.count();
    for (const [index, held] of grantable.entries()) {
      const lacked = grantable[(index + 1) % grantable.length] as Permission;
      const { secret } = await kit.createKey('ADMIN', { scopes: ['manage:api_keys', held] });
      const granted = await createKey({ role: 'ADMIN', scopes: [held] }, secret);
      expect(await permissionsOf(granted.data.createApiKey.secret)).toEqual([held]);
      const refused = await createKey({ role: 'ADMIN', scopes: [held, lacked] }, secret);
      expect(refused.errors[0]?.extensions).toEqual({
        code: 'FORBIDDEN',
        reason: 'PERMISSIONS_EXCEED_CALLER',
        requiredPermissions: [lacked],
      });
    }
    expect(await kit.prisma.token.count()).toBe(before + 2 * grantable.length);
  });

  test('TOK 8 changing tokens requires write:tokens or manage:api_keys and never exceeds the caller’s permissions', async () => {
    const scopes = permissions.filter((name) => name !== 'write:tokens' && name !== 'manage:api_keys');
    const weak = await kit.createKey('ADMIN', { scopes });
    const weakPat = await kit.createPat(kit.keys.ADMIN, { scopes });
    const minter = await kit.createPat(kit.keys.ADMIN, { scopes: ['write:tokens', 'manage:api_keys', 'read:agents'] });
    const before = await kit.fingerprint();
    for (const { secret, id } of [weak, weakPat]) {
      for (const answer of [
        await createKey({ role: 'LIMITED', scopes: ['read:agents'] }, secret),
        await updateKey(kit, { id: weak.id, allScopes: true }, secret),
        await createPat({ name: 'x', scopes: ['read:agents'] }, secret),
        await revokePat(kit, id, secret),
      ])
        expect(code(answer)).toBe('FORBIDDEN');
      for (const [method, path, body] of [
        ['POST', '/api/admin/api-key', { role: 'limited' }],
        ['PATCH', `/api/admin/api-key/${weak.id}`, { role: 'admin' }],
        ['POST', `/api/admin/api-key/${weak.id}/regenerate`, undefined],
        ['DELETE', `/api/admin/api-key/${weak.id}`, undefined],
        ['POST', '/api/user/pats', { name: 'x', scopes: ['read:agents'] }],
      ] as const)
        expect((await kit.rest(method, path, { key: secret, body })).status).toBe(403);
    }
    for (const answer of [
      await createKey({ role: 'ADMIN' }, minter.secret),
      await createKey({ role: 'LIMITED' }, minter.secret),
      await createKey({ role: 'ADMIN', scopes: ['read:agents', 'read:audit'] }, minter.secret),
      await updateKey(kit, { id: weak.id, scopes: ['read:agents'] }, minter.secret),
      await createPat({ name: 'x' }, minter.secret),
      await createPat({ name: 'x', scopes: ['read:chat'] }, minter.secret),
    ])
      expect(code(answer)).toBe('FORBIDDEN');
    expect(await kit.fingerprint()).toBe(before);
    const { data } = await createPat({ name: 'x', scopes: ['read:agents', 'write:tokens'] }, minter.secret);
    expect(await permissionsOf(data.createPersonalAccessToken.secret)).toEqual(['read:agents', 'write:tokens']);
  });

  test('TOK 10 demotion reduces the permissions of existing tokens at once, and scopes do not restore them', async () => {
    const key = await kit.createKey('ADMIN');
    const whole = await kit.createPat(key.secret);
    const scoped = await kit.createPat(key.secret, { scopes: ['read:agents', 'read:chat', 'manage:agents'] });
    const rights = async () => [await permissionsOf(whole.secret), await permissionsOf(scoped.secret)];
    expect(await rights()).toEqual([permissions, ['read:agents', 'read:chat', 'manage:agents']]);
    await updateKey(kit, { id: key.id, role: 'BASIC' });
    expect(await rights()).toEqual([
      permissions.filter((name) => rolePermissions('BASIC').has(name)),
      ['read:agents', 'read:chat'],
    ]);
    expect((await kit.rest('GET', '/api/admin/api-key', { key: whole.secret })).status).toBe(403);
    await updateKey(kit, { id: key.id, role: 'LIMITED' });
    expect(await rights()).toEqual([
      permissions.filter((name) => rolePermissions('LIMITED').has(name)),
      ['read:agents'],
    ]);
    expect((await kit.rest('GET', '/api/chat/get-user-chat-sessions', { key: scoped.secret })).status).toBe(403);
    expect(code(await kit.gql('{ chatSessions { totalCount } }', {}, whole.secret))).toBe('FORBIDDEN');
  });

  test('TOK 17 a user has at most 100 personal tokens', async () => {
    const { secret, userId } = await kit.createKey('BASIC');
    await kit.prisma.token.createMany({
      data: Array.from({ length: 99 }, (_, number) => ({
        kind: 'PERSONAL' as const,
        hash: Uint8Array.from(hashSecret(`${userId} ${number}`)),
        display: 'onyx_pat_xxx****xxxx',
        userId,
      })),
    });
    const answers = await Promise.all([1, 2, 3].map((number) => createPat({ name: `${number}` }, secret)));
    expect(answers.map((answer) => code(answer) ?? 'made').sort()).toEqual(['CONFLICT', 'CONFLICT', 'made']);
    expect(await kit.prisma.token.count({ where: { userId, kind: 'PERSONAL' } })).toBe(100);
  });
});

describe('the last use of a token', () => {
  const lastUse = async (id: number) => {
    const { lastUsedAt, lastUsedAddress } = await kit.prisma.token.findUniqueOrThrow({ where: { id } });
    return { lastUsedAt, lastUsedAddress };
  };
  const writes = () => kit.statements.filter((text) => /^UPDATE .*"lastUsedAt"/s.test(text)).length;

  test('TOK 11 is recorded with the address, at most once per minute', async () => {
    const { id, secret } = await kit.createKey('BASIC');
    expect(await lastUse(id)).toEqual({ lastUsedAt: null, lastUsedAddress: null });
    await kit.booted.background.settled();
    kit.statements.length = 0;
    const before = Date.now();
    await Promise.all(Array.from({ length: 5 }, () => works(secret)));
    const { lastUsedAt } = await until(async () => {
      const use = await lastUse(id);
      return use.lastUsedAt && use.lastUsedAddress === '127.0.0.1' ? { lastUsedAt: use.lastUsedAt } : null;
    });
    expect(lastUsedAt.getTime()).toBeGreaterThanOrEqual(before);
    expect(lastUsedAt.getTime()).toBeLessThanOrEqual(Date.now());
    for (let use = 0; use < 3; use++) await works(secret);
    await kit.booted.background.settled();
    expect(writes()).toBe(1);
    expect((await lastUse(id)).lastUsedAt).toEqual(lastUsedAt);
  });

  test('TOK 11 is not recorded again within a minute after another instance recorded it', async () => {
    const [recent, old] = [await kit.createKey('BASIC'), await kit.createKey('BASIC')];
    const at = (seconds: number) => ({
      lastUsedAt: new Date(Date.now() - seconds * 1000),
      lastUsedAddress: '192.0.2.1',
    });
    const within = at(30);
    await kit.prisma.token.update({ where: { id: recent.id }, data: within });
    await kit.prisma.token.update({ where: { id: old.id }, data: at(61) });
    for (const { secret } of [recent, old]) expect(await works(secret)).toBe(true);
    await until(async () => (await lastUse(old.id)).lastUsedAddress === '127.0.0.1');
    await kit.booted.background.settled();
    expect(await lastUse(recent.id)).toEqual(within);
  });

  test('TOK 11 is recorded again after exactly one minute, and never for a rejected request', async () => {
    const secret = newSecret('API_KEY');
    const start = Date.parse('2030-01-01T00:00:00.000Z');
    const row: Record<string, unknown> = {
      id: 1,
      current: true,
      allScopes: true,
      role: 'BASIC',
      active: true,
      lastUsedAt: null,
    };
    const written: string[] = [];
    const updateMany = async ({ data }: { data: { lastUsedAt: Date } }) => written.push(data.lastUsedAt.toISOString());
    const db = { query: async () => [row], prisma: { token: { updateMany } } } as unknown as Database;
    const background = { run: (_name: string, work: () => Promise<void>) => void work() } as unknown as Background;
    const { authenticate } = createAuthenticator(db, { refused() {} } as never, background);
    vi.useFakeTimers({ toFake: ['Date'] });
    for (const after of [0, 1, 59_999, 60_000, 60_001, 119_999, 120_000]) {
      vi.setSystemTime(start + after);
      expect(await authenticate(secret, { address: null, userAgent: null })).not.toBeNull();
    }
    row.disabledAt = new Date();
    vi.setSystemTime(start + 600_000);
    expect(await authenticate(secret, { address: null, userAgent: null })).toBeNull();
    expect(written).toEqual(['2030-01-01T00:00:00.000Z', '2030-01-01T00:01:00.000Z', '2030-01-01T00:02:00.000Z']);
  });
});

describe('secrets in logs and errors', () => {
  test('TOK 13 are absent from log lines about URLs, paths, headers, bodies and errors', async () => {
    const { secret, id } = await kit.createKey('ADMIN', { name: 'logged' });
    const pat = (await kit.createPat(secret)).secret;
    const unknown = newSecret('API_KEY');
    const misplaced = [secret, pat, unknown];
    kit.log.length = 0;
    for (const one of misplaced) {
      await kit.gql('{ viewer { role } apiKeys { totalCount } }', {}, one);
      for (const path of [
        `/api/me?token=${one}`,
        `/graphql?query=${encodeURIComponent(`{ viewer { role } } # ${one}`)}`,
        `/?${one}`,
        `/api/admin/api-key/${one}`,
        `/api/chat/get-chat-session/x${one}`,
        `/nowhere/%20${one}`,
        `/nowhere/_${one}${one}`,
      ])
        await kit.rest('GET', path, {
          key: one,
          headers: { 'user-agent': `agent ${one}`, 'x-other': one, referer: `http://x/?${one}` },
        });
      await kit.rest('DELETE', `/api/user/pats/${one}`, { key: secret });
      await kit.rest('POST', '/api/user/pats', { key: secret, body: `{"name": ${one}` });
      await kit.rest('POST', '/graphql', { key: secret, body: { query: `{ ${one} }`, variables: { [one]: one } } });
      await kit.gql('query ($after: String) { apiKeys(after: $after) { totalCount } }', { after: one });
      const { log } = kit.booted.foundation;
      const error = new Error(`upstream said:\n${one}\nand "${one}"`, { cause: new Error(`Bearer ${one}`) });
      log.error({ error, headers: { authorization: `Bearer ${one}` }, list: [[one]], [one]: 1 }, `failed with ${one}`);
      log.child({ token: one }).warn('%s', one);
      kit.booted.background.run(`work of ${one}`, () => Promise.reject(error));
    }
    await updateKey(kit, { id, disabled: true });
    await kit.gql('{ viewer { role } }', {}, secret);
    await kit.booted.background.settled();
    const all = kit.log.join('');
    // The log has lines, and secrets in them are redacted.
    expect(kit.log.length).toBeGreaterThan(30);
    expect(all).toContain('failed with on_[redacted]');
    expect(all).toContain('/api/admin/api-key/on_[redacted]');
    expect(all).toContain('\\non_[redacted]\\n');
    expect(all).toContain('background work failed');
    for (const one of misplaced) expect(all).not.toContain(random(one));
  });

  test('TOK 13 are not repeated in error responses', async () => {
    const dead = Object.values(await deadSecrets()).filter((secret) => secret.length >= 36);
    for (const secret of [...dead, kit.keys.LIMITED]) {
      const answers = [
        await kit.rest('GET', '/api/admin/api-key', { key: secret }),
        await kit.rest('POST', '/graphql', { key: secret, body: { query: '{ apiKeys { totalCount } }' } }),
        await kit.rest('GET', '/nowhere', { key: secret }),
      ];
      for (const answer of answers) {
        const whole = answer.text + JSON.stringify([...answer.headers]);
        expect(whole).not.toContain(random(secret).slice(0, 12));
      }
    }
  });
});

describe('the audit trail', () => {
  const agent = { 'user-agent': 'auditor/1.0 (test)' };
  const rows = async (where: object) => {
    await kit.booted.background.settled();
    const found = await kit.prisma.auditEvent.findMany({ where, orderBy: { id: 'asc' } });
    return found.map(({ id: _id, at, ...row }) => {
      expect(at).toBeInstanceOf(Date);
      return row;
    });
  };

  test('TOK 15 records creating, changing, regenerating and deleting a key, with its actor, client and changes', async () => {
    const actor = await kit.createKey('ADMIN', { name: 'actor' });
    const as = { key: actor.secret, headers: agent };
    const { body: made } = await kit.rest('POST', '/api/admin/api-key', {
      ...as,
      body: { name: 'audited', role: 'basic' },
    });
    const path = `/api/admin/api-key/${made.api_key_id}`;
    await kit.rest('PATCH', path, { ...as, body: { name: 'renamed', role: 'basic', scopes: ['read:chat'] } });
    await kit.rest('POST', `${path}/regenerate`, as);
    const query = 'mutation ($id: ID!) { updateApiKey(input: { id: $id, disabled: true }) { apiKey { name } } }';
    await kit.rest('POST', '/graphql', { ...as, body: { query, variables: { id: made.api_key_id } } });
    await kit.rest('DELETE', path, as);
    const common = {
      actorId: actor.userId,
      actorName: 'actor',
      tokenId: actor.id,
      address: '127.0.0.1',
      userAgent: 'auditor/1.0 (test)',
      targetType: 'ApiKey',
      targetId: String(made.api_key_id),
    };
    const first = {
      name: 'audited',
      role: 'BASIC',
      scopes: null,
      projectId: null,
      expiresAt: null,
      disabled: false,
    };
    const second = { ...first, name: 'renamed', scopes: ['read:chat'] };
    expect(await rows({ targetType: 'ApiKey', targetId: String(made.api_key_id) })).toEqual([
      { ...common, action: 'api_key.create', detail: { kind: 'API_KEY', ...first } },
      { ...common, action: 'api_key.update', detail: { before: first, after: second } },
      { ...common, action: 'api_key.regenerate', detail: { overlapMinutes: 0, revokedTokenIds: [] } },
      { ...common, action: 'api_key.update', detail: { before: second, after: { ...second, disabled: true } } },
      { ...common, action: 'api_key.delete', detail: { ...second, disabled: true } },
    ]);
  });

  test('TOK 15 records creating and revoking a personal token', async () => {
    const actor = await kit.createKey('BASIC', { name: 'owner' });
    const as = { key: actor.secret, headers: agent };
    const { body: made } = await kit.rest('POST', '/api/user/pats', {
      ...as,
      body: { name: 'audited', scopes: ['read:chat'] },
    });
    await kit.rest('DELETE', `/api/user/pats/${made.id}`, as);
    const common = {
      actorId: actor.userId,
      actorName: 'owner',
      tokenId: actor.id,
      address: '127.0.0.1',
      userAgent: 'auditor/1.0 (test)',
      targetType: 'PersonalAccessToken',
      targetId: String(made.id),
    };
    expect(await rows({ targetType: 'PersonalAccessToken', targetId: String(made.id) })).toEqual([
      { ...common, action: 'personal_access_token.create', detail: { name: 'audited', scopes: ['read:chat'] } },
      { ...common, action: 'personal_access_token.revoke', detail: { name: 'audited' } },
    ]);
  });

  test('TOK 15 records no success for a rejected or failed operation', async () => {
    const { id, secret } = await kit.createKey('BASIC');
    const before = await kit.prisma.auditEvent.count({ where: { action: { startsWith: 'api_key.' } } });
    await createKey({ name: '' });
    await updateKey(kit, { id, scopes: ['read:everything'] });
    await createKey({ role: 'ADMIN' }, secret);
    await deleteKey(kit, 2_000_000_000);
    expect(await kit.prisma.auditEvent.count({ where: { action: { startsWith: 'api_key.' } } })).toBe(before);
  });

  test.each<[string, (token: { id: number; secret: string; owner: string }) => Promise<unknown>]>([
    ['revoked', ({ id, owner }) => revokePat(kit, id, owner)],
    ['expired', ({ id }) => kit.prisma.token.update({ where: { id }, data: { expiresAt: new Date() } })],
    ['disabled', ({ id }) => kit.prisma.token.update({ where: { id }, data: { disabledAt: new Date() } })],
  ])('TOK 15 records the rejected use of a token that is %s, at most once per minute', async (reason, end) => {
    const owner = await kit.createKey('BASIC', { name: 'owner' });
    const pat = await kit.createPat(owner.secret);
    await end({ ...pat, owner: owner.secret });
    for (let use = 0; use < 3; use++) {
      expect((await kit.rest('GET', '/api/me', { key: pat.secret, headers: agent })).status).toBe(403);
      await kit.gql('{ viewer { role } }', {}, pat.secret);
    }
    expect(await rows({ tokenId: pat.id, action: 'credential.refused' })).toEqual([
      {
        action: 'credential.refused',
        actorId: owner.userId,
        actorName: 'owner',
        tokenId: pat.id,
        address: '127.0.0.1',
        userAgent: 'auditor/1.0 (test)',
        targetType: null,
        targetId: null,
        detail: { reason },
      },
    ]);
  });

  test('TOK 15 records a denied operation of a valid token, over GraphQL and REST', async () => {
    const key = await kit.createKey('LIMITED', { name: 'curious' });
    const as = { key: key.secret, headers: agent };
    expect((await kit.rest('GET', '/api/admin/api-key', as)).status).toBe(403);
    const graph = await kit.rest('POST', '/graphql', { ...as, body: { query: '{ mine: apiKeys { totalCount } }' } });
    expect(graph.body.errors[0].extensions.code).toBe('FORBIDDEN');
    const common = {
      action: 'permission.refused',
      actorId: key.userId,
      actorName: 'curious',
      tokenId: key.id,
      address: '127.0.0.1',
      userAgent: 'auditor/1.0 (test)',
      targetType: null,
      targetId: null,
    };
    const found = await rows({ tokenId: key.id, action: 'permission.refused' });
    expect(found).toHaveLength(2);
    expect(found).toEqual(
      expect.arrayContaining([
        { ...common, detail: { operation: 'GET /admin/api-key' } },
        { ...common, detail: { operation: 'apiKeys' } },
      ]),
    );
  });

  test('truncates a user agent to 500 characters', async () => {
    const key = await kit.createKey('LIMITED');
    const headers = { 'user-agent': `x${'é'.repeat(3000)}` };
    expect((await kit.rest('GET', '/api/user/pats', { key: key.secret, headers })).status).toBe(403);
    const [row] = await rows({ tokenId: key.id, action: 'permission.refused' });
    expect(row?.userAgent).toHaveLength(500);
  });
});
