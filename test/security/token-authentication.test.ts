import { beforeAll, describe, expect, test } from 'vitest';
import { newSecret } from '../../src/authz/secret.ts';
import { code, deadSecrets, kit, random, useTokenKit } from './token-kit.ts';

useTokenKit();

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
