import { describe, expect, test } from 'vitest';
import { checksum, hashSecret, newSecret } from '../../src/authz/secret.ts';
import type { Answer } from '../kit.ts';
import { regenerateKey, updateKey } from './keys.ts';
import { createKey, deadSecrets, dump, kit, random, settings, useTokenKit, works } from './token-kit.ts';

useTokenKit();

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
    expect(lookUps[0]?.slice(lookUps[0].indexOf('WHERE'))).toBe('WHERE t."hash" = $1 OR t."previousHash" = $1) c');
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
