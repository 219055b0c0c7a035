import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, type GraphQLAnswer, type Kit, startKit } from '../../../test/kit.ts';
import { newSecret } from '../../authz/secret.ts';
import { globalId } from '../../graphql/id-input.ts';
import {
  codeOf,
  createKey,
  day,
  deleteKey,
  groupsOf,
  kit,
  listedKey,
  listKeys,
  regenerateKey,
  rightsOf,
  unchanged,
  updateKey,
  useTokenKit,
  viewer,
  works,
} from './fixtures.ts';

useTokenKit();

describe('updating an API key', () => {
  test('changes the e-mail address of its user immediately when the key is renamed', async () => {
    const { id, secret, userId } = await kit.createKey('BASIC', { name: 'before' });
    const { data } = await updateKey({ id, name: '  After  ' });
    expect(data.updateApiKey.apiKey).toMatchObject({ name: 'After', role: 'BASIC', user: { databaseId: userId } });
    expect(await viewer(secret)).toMatchObject({ name: 'After', email: `api_key__after@${userId}onyxapikey.ai` });
    await updateKey({ id, clear: ['NAME'] });
    expect(await viewer(secret)).toMatchObject({ name: 'Unnamed', email: `api_key__unnamed@${userId}onyxapikey.ai` });
  });

  test('leaves a field unchanged that is null or absent', async () => {
    const expiresAt = new Date(Date.now() + day).toISOString();
    const { data } = await createKey({ name: 'kept', role: 'BASIC', scopes: ['read:chat'], expiresAt });
    const { databaseId } = data.createApiKey.apiKey;
    const nulls = { name: null, role: null, scopes: null, allScopes: null, expiresAt: null, neverExpires: null };
    const off = { allScopes: false, neverExpires: false, clear: [] };
    for (const change of [{}, { name: 'kept' }, { ...nulls, disabled: null, clear: null }, off])
      expect((await updateKey({ id: databaseId, ...change })).data.updateApiKey.apiKey).toEqual(
        data.createApiKey.apiKey,
      );
  });

  test('applies a higher or lower role from the next request', async () => {
    const { id, secret, userId } = await kit.createKey('LIMITED');
    for (const role of ['ADMIN', 'BASIC', 'LIMITED'] as const) {
      await updateKey({ id, role });
      expect(await viewer(secret)).toMatchObject({ id: userId, role, permissions: rightsOf(role) });
    }
  });

  test('restricts the key with scopes, and removes the restriction with allScopes', async () => {
    const { id, secret } = await kit.createKey('BASIC');
    await updateKey({ id, scopes: ['read:agents'] });
    expect((await viewer(secret)).permissions).toEqual(['read:agents']);
    await updateKey({ id, allScopes: true });
    expect((await viewer(secret)).permissions).toEqual(rightsOf('BASIC'));
  });

  test('drops the scopes beyond a lesser role, and is rejected when no scope would remain', async () => {
    const { id, secret } = await kit.createKey('BASIC', { scopes: ['read:agents', 'read:chat'] });
    const { data } = await updateKey({ id, role: 'LIMITED' });
    expect(data.updateApiKey.apiKey.scopes).toEqual(['READ_AGENTS']);
    await updateKey({ id, role: 'BASIC' });
    expect((await viewer(secret)).permissions).toEqual(['read:agents']);
    await updateKey({ id, scopes: ['read:chat'] });
    const refused = await unchanged(() => updateKey({ id, role: 'LIMITED' }));
    expect(refused.errors[0]?.extensions).toMatchObject({
      code: 'BAD_USER_INPUT',
      fields: [{ path: ['input', 'role'] }],
    });
  });

  test('sets and changes the expiry, and removes it with neverExpires', async () => {
    const { id, secret } = await kit.createKey('BASIC');
    for (const expiresAt of [new Date(Date.now() + day).toISOString(), new Date(Date.now() + 2 * day).toISOString()]) {
      await updateKey({ id, expiresAt });
      expect((await viewer(secret)).token.expiresAt).toBe(expiresAt);
    }
    await updateKey({ id, neverExpires: true });
    expect((await viewer(secret)).token.expiresAt).toBe(null);
  });

  test.each([
    [{ scopes: ['read:agents'], allScopes: true }, 'input.allScopes'],
    [{ expiresAt: '2027-01-01T00:00:00Z', neverExpires: true }, 'input.neverExpires'],
    [{ name: 'x', clear: ['NAME'] }, 'input.clear.0'],
  ])('rejects the contradictory input %j, and names %s', async (change, field) => {
    const { id } = await kit.createKey('BASIC', { scopes: ['read:chat'] });
    const { errors } = await unchanged(() => updateKey({ id, ...change }));
    expect(errors[0]?.extensions.code).toBe('BAD_USER_INPUT');
    expect(errors[0]?.extensions.fields[0].path.join('.')).toBe(field);
  });

  test('disables the key and all tokens of its user, and enables them again', async () => {
    const { id, secret } = await kit.createKey('BASIC');
    const pat = await kit.createPat(secret);
    expect((await updateKey({ id, disabled: true })).data.updateApiKey.apiKey.disabled).toBe(true);
    expect([await works(secret), await works(pat.secret)]).toEqual([false, false]);
    expect(await listedKey(id)).toMatchObject({ disabled: true });
    // A change without the field leaves the key disabled.
    await updateKey({ id, name: 'still off' });
    await kit.rest('PATCH', `/api/admin/api-key/${id}`, { body: { name: 'still off' } });
    expect([await works(secret), await works(pat.secret)]).toEqual([false, false]);
    await updateKey({ id, disabled: false });
    expect([await works(secret), await works(pat.secret)]).toEqual([true, true]);
  });

  test('keeps the changes of all concurrent updates', async () => {
    const { id, secret } = await kit.createKey('BASIC');
    const answers = await Promise.all([
      updateKey({ id, disabled: true }),
      updateKey({ id, name: 'renamed' }),
      updateKey({ id, role: 'LIMITED' }),
      updateKey({ id, expiresAt: new Date(Date.now() + day).toISOString() }),
    ]);
    expect(answers.flatMap(({ errors }) => errors)).toEqual([]);
    expect(await listedKey(id)).toMatchObject({
      disabled: true,
      name: 'renamed',
      role: 'LIMITED',
      expiresAt: expect.any(String),
    });
    expect(await works(secret)).toBe(false);
  });

  test('REST PATCH changes the given fields and keeps the secret', async () => {
    const expires_at = new Date(Date.now() + day).toISOString();
    const first = { name: 'whole', role: 'admin', scopes: ['read:audit', 'read:agents'], expires_at };
    const { body: made } = await kit.rest('POST', '/api/admin/api-key', { body: first });
    const renamed = await kit.rest('PATCH', `/api/admin/api-key/${made.api_key_id}`, {
      body: { ...first, name: 'New' },
    });
    expect([renamed.status, renamed.body]).toEqual([200, { ...made, api_key: null, api_key_name: 'New' }]);
    // The request body that Onyx documents has neither scopes nor an expiry; some clients send null for fields that
    // they do not set.
    const nulls = { name: null, role: null, scopes: null, expires_at: null, all_scopes: null, never_expires: null };
    for (const body of [{}, { name: 'New', role: 'admin' }, { name: 'New', group_ids: [1] }, nulls])
      expect((await kit.rest('PATCH', `/api/admin/api-key/${made.api_key_id}`, { body })).body).toEqual(renamed.body);
    const lifted = await kit.rest('PATCH', `/api/admin/api-key/${made.api_key_id}`, {
      body: { name: '', role: 'basic', all_scopes: true, never_expires: true },
    });
    expect(lifted.body).toEqual({
      ...made,
      api_key: null,
      api_key_name: null,
      api_key_role: 'basic',
      groups: groupsOf.BASIC,
      scopes: null,
      expires_at: null,
    });
    expect(await viewer(made.api_key)).toMatchObject({
      role: 'BASIC',
      permissions: rightsOf('BASIC'),
      email: `api_key__unnamed@${made.user_id}onyxapikey.ai`,
    });
    const groups = await kit.rest('PATCH', `/api/admin/api-key/${made.api_key_id}`, { body: { group_ids: [] } });
    expect(groups.body).toMatchObject({ api_key_role: 'limited', groups: [] });
  });
});

describe('regenerating an API key', () => {
  test('GraphQL: invalidates the old secret immediately, and keeps the ID, user and name', async () => {
    const { data } = await createKey({ name: 'turned', role: 'BASIC', scopes: ['read:chat', 'write:chat'] });
    const before = data.createApiKey;
    const { data: again } = await regenerateKey({ id: before.apiKey.databaseId });
    const after = again.regenerateApiKey;
    expect(after.secret).not.toBe(before.secret);
    expect(after.apiKey).toEqual({
      ...before.apiKey,
      display: `${after.secret.slice(0, 7)}********${after.secret.slice(-4)}`,
    });
    expect([await works(before.secret), await works(after.secret)]).toEqual([false, true]);
    expect((await viewer(after.secret)).permissions).toEqual(['write:chat', 'read:chat']);
  });

  test('REST: invalidates the old secret immediately, and keeps all other fields', async () => {
    const { body: before } = await kit.rest('POST', '/api/admin/api-key', { body: { name: 'turned' } });
    const { status, body: after } = await kit.rest('POST', `/api/admin/api-key/${before.api_key_id}/regenerate`);
    expect(status).toBe(200);
    expect(after).toEqual({ ...before, api_key: after.api_key, api_key_display: after.api_key_display });
    expect([await works(before.api_key), await works(after.api_key)]).toEqual([false, true]);
  });

  test('keeps both secrets valid until the end of the overlap, by the server’s clock', async () => {
    const { id, secret: old } = await kit.createKey('BASIC');
    const { data } = await regenerateKey({ id, overlapMinutes: 10 });
    const { secret, apiKey } = data.regenerateApiKey;
    const left = Date.parse(apiKey.previousSecretExpiresAt) - Date.now();
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(10 * 60_000);
    expect([await works(old), await works(secret)]).toEqual([true, true]);
    await kit.prisma.token.update({ where: { id }, data: { previousExpiresAt: new Date() } });
    expect([await works(old), await works(secret)]).toEqual([false, true]);
  });

  test('repeated within the overlap invalidates the oldest secret; without an overlap, all but the newest', async () => {
    const { id, secret: first } = await kit.createKey('BASIC');
    const second = (await regenerateKey({ id, overlapMinutes: 10 })).data.regenerateApiKey.secret;
    const third = (await regenerateKey({ id, overlapMinutes: 10 })).data.regenerateApiKey.secret;
    expect([await works(first), await works(second), await works(third)]).toEqual([false, true, true]);
    const { body } = await kit.rest('POST', `/api/admin/api-key/${id}/regenerate`);
    expect([await works(second), await works(third), await works(body.api_key)]).toEqual([false, false, true]);
  });

  test('keeps a disabled key disabled', async () => {
    const { id, secret: old } = await kit.createKey('BASIC');
    await updateKey({ id, disabled: true });
    const { secret } = (await regenerateKey({ id, overlapMinutes: 10 })).data.regenerateApiKey;
    expect([await works(old), await works(secret)]).toEqual([false, false]);
  });

  test.each([-1, 10081, 2 ** 31])('rejects an overlap of %d minutes, and keeps the secret', async (overlapMinutes) => {
    const { id, secret } = await kit.createKey('BASIC');
    const refused = await unchanged(() => regenerateKey({ id, overlapMinutes }));
    expect(codeOf(refused)).toBe('BAD_USER_INPUT');
    expect(refused.errors[0]?.message).toContain('overlapMinutes');
    expect(await works(secret)).toBe(true);
  });
});

describe('deleting an API key', () => {
  const ask = async (secret: string, agentId?: number): Promise<{ sessionId: string; assistantMessageId: number }> => {
    const { data, errors } = await kit.gql(
      `mutation ($input: SendChatMessageInput!) { sendChatMessage(input: $input) { sessionId assistantMessageId } }`,
      {
        input: { message: 'How do I create a limited key?', ...(agentId !== undefined && { newSession: { agentId } }) },
      },
      secret,
    );
    expect(errors).toEqual([]);
    return data.sendChatMessage;
  };
  const createAgent = async (secret: string, input: object): Promise<number> => {
    const { data, errors } = await kit.gql(
      'mutation ($input: CreateAgentInput!) { createAgent(input: $input) { agent { databaseId } } }',
      { input },
      secret,
    );
    expect(errors).toEqual([]);
    return data.createAgent.agent.databaseId;
  };

  test('deletes the private data of its user, and keeps agents and documents that other users can access', async () => {
    const key = await kit.createKey('BASIC', { name: 'doomed' });
    const friend = await kit.createKey('BASIC', { name: 'friend' });
    const pat = await kit.createPat(key.secret);
    const own = await ask(key.secret);
    const secretAgent = await createAgent(key.secret, { name: 'private' });
    const selfish = await createAgent(key.secret, { name: 'shared with itself', userIds: [key.userId] });
    const shared = await createAgent(key.secret, { name: 'shared', userIds: [friend.userId] });
    const open = await createAgent(key.secret, { name: 'public', isPublic: true });
    const byAdmin = await ask(kit.keys.ADMIN, secretAgent);
    const byFriend = await ask(friend.secret, shared);
    const document = { title: 'mine', contentHash: Uint8Array.from([1]), ownerId: key.userId };
    await kit.prisma.document.create({ data: { ...document, externalId: 'private-of-doomed', isPublic: false } });
    await kit.prisma.document.create({ data: { ...document, externalId: 'public-of-doomed', isPublic: true } });
    // A key that this key created is independent of it.
    await kit.prisma.token.update({ where: { id: friend.id }, data: { creatorId: key.userId } });

    const { data } = await deleteKey({ id: key.id });
    expect(data.deleteApiKey).toEqual({ deletedApiKeyId: globalId('ApiKey', key.id) });

    expect([await works(key.secret), await works(pat.secret), await works(friend.secret)]).toEqual([
      false,
      false,
      true,
    ]);
    expect(await kit.prisma.user.count({ where: { id: key.userId } })).toBe(0);
    expect(await kit.prisma.token.count({ where: { id: { in: [key.id, pat.id] } } })).toBe(0);
    expect(await kit.prisma.chatSession.count({ where: { id: own.sessionId } })).toBe(0);
    expect(await kit.prisma.chatMessage.count({ where: { id: own.assistantMessageId } })).toBe(0);
    expect(await kit.prisma.run.count({ where: { sessionId: own.sessionId } })).toBe(0);
    const agents = await kit.prisma.agent.findMany({
      where: { id: { in: [secretAgent, selfish, shared, open] } },
      orderBy: { id: 'asc' },
    });
    expect(agents.map(({ id, ownerId }) => [id, ownerId])).toEqual([
      [shared, null],
      [open, null],
    ]);
    const documents = await kit.prisma.document.findMany({ where: { externalId: { endsWith: '-of-doomed' } } });
    expect(documents.map(({ externalId, ownerId }) => [externalId, ownerId])).toEqual([['public-of-doomed', null]]);
    const { nodes } = await listKeys();
    expect(nodes.map((node) => node.databaseId)).not.toContain(key.id);
    expect(await listedKey(friend.id)).toMatchObject({ createdBy: null });

    // The admin's chat with the deleted agent continues with the default agent, the friend's with the shared one.
    for (const [secret, { sessionId }, agentId] of [
      [kit.keys.ADMIN, byAdmin, 0],
      [friend.secret, byFriend, shared],
    ] as const) {
      const { data: chat } = await kit.gql(
        `query ($id: ID!) { chatSession(id: $id) { agentId messages { totalCount } } }`,
        { id: sessionId },
        secret,
      );
      expect(chat.chatSession).toEqual({ agentId, messages: { totalCount: 3 } });
      const more = await kit.gql(
        'mutation ($input: SendChatMessageInput!) { sendChatMessage(input: $input) { sessionId answer failure { code } } }',
        { input: { message: 'And then?', sessionId } },
        secret,
      );
      expect(more.errors).toEqual([]);
      expect(more.data.sendChatMessage).toMatchObject({ sessionId, failure: null });
    }
  });

  test('returns null over REST, and 400 for a key that is already deleted', async () => {
    const { id, secret } = await kit.createKey('BASIC');
    const gone = await kit.rest('DELETE', `/api/admin/api-key/${id}`);
    expect([gone.status, gone.body]).toEqual([200, null]);
    expect(await works(secret)).toBe(false);
    const unknown = { message: `API key with id ${id} does not exist` };
    await unchanged(async () => {
      for (const [method, path, body] of [
        ['DELETE', `/api/admin/api-key/${id}`, undefined],
        ['PATCH', `/api/admin/api-key/${id}`, {}],
        ['POST', `/api/admin/api-key/${id}/regenerate`, undefined],
      ] as const) {
        const answer = await kit.rest(method, path, { body });
        expect([answer.status, answer.body]).toEqual([400, unknown]);
      }
      for (const attempt of [updateKey, regenerateKey, deleteKey])
        expect(codeOf(await attempt({ id }))).toBe('NOT_FOUND');
    });
  });

  test('accepts the global ID, and rejects a missing ID and an ID of another type', async () => {
    const { id } = await kit.createKey('BASIC', { name: 'global' });
    const listed = await listedKey(id);
    expect(listed.id).toBe(globalId('ApiKey', id));
    await unchanged(async () => {
      for (const input of [{}, { id: null }, { id: listed.id, databaseId: id }, { id: globalId('Agent', 0) }])
        expect(codeOf(await deleteKey(input))).toBe('BAD_USER_INPUT');
    });
    expect((await deleteKey({ id: listed.id })).data.deleteApiKey).toEqual({ deletedApiKeyId: listed.id });
  });
});

describe('the last admin key', () => {
  let alone: Kit;
  let id: number;
  beforeAll(async () => {
    alone = await startKit();
    ({ id } = await alone.prisma.token.findFirstOrThrow({ where: { user: { role: 'ADMIN' } } }));
  });
  afterAll(() => alone.close());

  const hopeless: Record<string, (secret: { id: number; userId: string }) => Promise<unknown>> = {
    disabled: ({ id: databaseId }) => updateKey({ id: databaseId, disabled: true }, undefined, alone),
    expired: ({ id: keyId }) => alone.prisma.token.update({ where: { id: keyId }, data: { expiresAt: new Date() } }),
    'cut to one scope': ({ id: databaseId }) =>
      updateKey({ id: databaseId, scopes: ['manage:api_keys'] }, undefined, alone),
    'of a deactivated user': ({ userId }) =>
      alone.prisma.user.update({ where: { id: userId }, data: { active: false } }),
  };

  const refused = async () => {
    await unchanged(async () => {
      for (const answer of [
        await deleteKey({ id }, undefined, alone),
        await updateKey({ id, role: 'BASIC' }, undefined, alone),
        await updateKey({ id, disabled: true }, undefined, alone),
        await updateKey({ id, scopes: ['read:audit'] }, undefined, alone),
      ])
        expect(codeOf(answer)).toBe('CONFLICT');
      for (const answer of [
        await alone.rest('DELETE', `/api/admin/api-key/${id}`),
        await alone.rest('PATCH', `/api/admin/api-key/${id}`, { body: { role: 'basic' } }),
        await alone.rest('PATCH', `/api/admin/api-key/${id}`, { body: { group_ids: [] } }),
      ])
        expect([answer.status, answer.body.error_code]).toEqual([409, 'CONFLICT']);
    }, alone);
    expect(await viewer(alone.keys.ADMIN, alone)).toMatchObject({ role: 'ADMIN', permissions: rightsOf('ADMIN') });
  };

  test('cannot be deleted, demoted, disabled or restricted to scopes', async () => {
    await refused();
  });

  test.each(Object.keys(hopeless))('remains the last one when another admin key is %s', async (state) => {
    const other = await alone.createKey('ADMIN');
    await hopeless[state]?.(other);
    await refused();
    // The other key can be deleted, since it is not the last one.
    expect((await deleteKey({ id: other.id }, undefined, alone)).errors).toEqual([]);
  });

  test('can be updated with its current name, role and state', async () => {
    expect(
      (await updateKey({ id, name: 'First admin key', role: 'ADMIN', disabled: false }, undefined, alone)).errors,
    ).toEqual([]);
  });

  test('one request fails when two admin keys delete, demote or disable each other concurrently', async () => {
    const {
      tokens,
      credentials: { authenticate },
    } = alone.booted.services;
    const client = { address: null, userAgent: null };
    const acts = {
      delete: (by: NonNullable<Awaited<ReturnType<typeof authenticate>>>, target: number) =>
        tokens.deleteApiKey(by, target),
      demote: (by: NonNullable<Awaited<ReturnType<typeof authenticate>>>, target: number) =>
        tokens.updateApiKey(by, target, { role: 'BASIC' }),
      disable: (by: NonNullable<Awaited<ReturnType<typeof authenticate>>>, target: number) =>
        tokens.updateApiKey(by, target, { disabled: true }),
    };
    let one = { id, secret: alone.keys.ADMIN };
    for (const act of Object.values(acts)) {
      const other = await alone.createKey('ADMIN');
      // Both passed authentication before either acts.
      const [first, second] = await Promise.all([one, other].map(({ secret }) => authenticate(secret, client)));
      if (!first || !second) throw new Error('an admin key does not work');
      const ends = await Promise.allSettled([act(first, other.id), act(second, one.id)]);
      expect(ends.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      expect(ends.find((end) => end.status === 'rejected')).toMatchObject({ reason: { code: 'CONFLICT' } });
      if (ends[1].status === 'fulfilled') one = other;
      alone.keys.ADMIN = one.secret;
      expect((await viewer(one.secret, alone)).permissions).toEqual(rightsOf('ADMIN'));
    }
    id = one.id;
  });

  test('is replaced by a new key at a start without one; a used bootstrap key is not accepted again', async () => {
    const { tokens } = alone.booted.services;
    expect(await tokens.createFirstAdminKey(null)).toBeNull();
    await alone.prisma.token.update({ where: { id }, data: { expiresAt: new Date() } });
    const spent = alone.keys.ADMIN;
    const made = await tokens.createFirstAdminKey(spent);
    expect(made).not.toBe(spent);
    expect((await viewer(made as string, alone)).role).toBe('ADMIN');
    expect(await viewer(spent, alone)).toBeNull();
    await alone.prisma.token.updateMany({ where: { user: { role: 'ADMIN' } }, data: { expiresAt: new Date() } });
    const given = newSecret('API_KEY');
    expect(await tokens.createFirstAdminKey(given)).toBe(given);
    expect((await viewer(given, alone)).permissions).toEqual(rightsOf('ADMIN'));
  });
});

describe('a key with the scope manage:api_keys only', () => {
  let manager: { id: number; secret: string };
  let admin: { id: number; secret: string };
  beforeAll(async () => {
    manager = await kit.createKey('ADMIN', { scopes: ['manage:api_keys'] });
    admin = await kit.createKey('ADMIN');
  });

  test('can create keys with the same scope', async () => {
    const { data } = await createKey({ role: 'ADMIN', scopes: ['manage:api_keys'] }, manager.secret);
    expect((await viewer(data.createApiKey.secret)).permissions).toEqual(['manage:api_keys']);
    const listed = await kit.rest('GET', '/api/admin/api-key', { key: manager.secret });
    expect(listed.status).toBe(200);
  });

  test.each<[string, (secret: string) => Promise<GraphQLAnswer>]>([
    ['make an admin key', (secret) => createKey({ role: 'ADMIN' }, secret)],
    ['make a limited key, which may chat', (secret) => createKey({ role: 'LIMITED' }, secret)],
    [
      'make a key with another scope',
      (secret) => createKey({ role: 'ADMIN', scopes: ['manage:api_keys', 'read:audit'] }, secret),
    ],
    ['regenerate an admin key', (secret) => regenerateKey({ id: admin.id }, secret)],
    ['delete an admin key', (secret) => deleteKey({ id: admin.id }, secret)],
    ['rename an admin key', (secret) => updateKey({ id: admin.id, name: 'x' }, secret)],
    [
      'cut an admin key down to its own size',
      (secret) => updateKey({ id: admin.id, scopes: ['manage:api_keys'] }, secret),
    ],
    ['lift its own scopes', (secret) => updateKey({ id: manager.id, allScopes: true }, secret)],
    [
      'give itself another scope',
      (secret) => updateKey({ id: manager.id, scopes: ['manage:api_keys', 'read:chat'] }, secret),
    ],
  ])('cannot %s', async (_what, attempt) => {
    expect(codeOf(await unchanged(() => attempt(manager.secret)))).toBe('FORBIDDEN');
    expect((await viewer(manager.secret)).permissions).toEqual(['manage:api_keys']);
    expect(await works(admin.secret)).toBe(true);
  });

  test.each<[string, () => Promise<Answer>]>([
    [
      'make an admin key',
      () => kit.rest('POST', '/api/admin/api-key', { key: manager.secret, body: { role: 'admin' } }),
    ],
    [
      'regenerate an admin key',
      () => kit.rest('POST', `/api/admin/api-key/${admin.id}/regenerate`, { key: manager.secret }),
    ],
    ['delete an admin key', () => kit.rest('DELETE', `/api/admin/api-key/${admin.id}`, { key: manager.secret })],
    [
      'lift its own scopes',
      () => kit.rest('PATCH', `/api/admin/api-key/${manager.id}`, { key: manager.secret, body: { all_scopes: true } }),
    ],
  ])('cannot %s through REST', async (_what, attempt) => {
    const answer = await unchanged(attempt);
    expect([answer.status, answer.body.error_code]).toEqual([403, 'INSUFFICIENT_PERMISSIONS']);
  });
});
