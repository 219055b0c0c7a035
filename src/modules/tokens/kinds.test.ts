import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type GraphQLAnswer, type Kit, type RoleName, startKit, withScopes } from '../../../test/kit.ts';
import { holdsInProject, permissions, rolePermissions } from '../../authz/permissions.ts';
import { checksum, secretColumns } from '../../authz/secret.ts';
import { permissionNames } from '../../rest/permission-names.ts';

/** Keys with prefixes other than `on_`, and tokens that are limited by another credential. */
let kit: Kit;
beforeAll(async () => {
  kit = await startKit();
});
afterAll(() => kit?.close());

interface Made {
  id: number;
  secret: string;
  userId: string;
}

const code = ({ errors }: GraphQLAnswer) => errors[0]?.extensions.code;
const field = ({ errors }: GraphQLAnswer) => errors[0]?.extensions.fields?.[0].path.join('.');

const create = (input: object, key?: string) =>
  kit.gql(
    `mutation ($input: CreateApiKeyInput!) {
      createApiKey(input: $input) { secret apiKey { databaseId user { databaseId } kind display projectDatabaseId role scopes } }
    }`,
    { input: withScopes(input) },
    key,
  );
const createProjectToken = (input: object, key?: string) =>
  kit.gql(
    `mutation ($input: CreateProjectTokenInput!) {
      createProjectToken(input: $input) { secret projectToken { databaseId user { databaseId } display projectDatabaseId role scopes } }
    }`,
    { input: withScopes(input) },
    key,
  );

async function project(ownerId: string): Promise<number> {
  return (await kit.prisma.project.create({ data: { name: 'a project', ownerId } })).id;
}

async function ownerOf(role: RoleName = 'BASIC', scopes?: string[]) {
  const owner = await kit.createKey(role, { name: 'owner', ...(scopes && { scopes }) });
  return { ...owner, projectId: await project(owner.userId) };
}

async function token(projectId: number, key: string, input: object = {}): Promise<Made> {
  const { data, errors } = await createProjectToken({ projectId, ...input }, key);
  if (errors.length > 0) throw new Error(JSON.stringify(errors));
  const { secret, projectToken } = data.createProjectToken;
  return { secret, id: projectToken.databaseId, userId: projectToken.user.databaseId };
}

const held = async (secret: string): Promise<string[] | null> => {
  const found = (await kit.gql('{ viewer { permissions } }', {}, secret)).data?.viewer;
  return found ? permissionNames(found.permissions) : null;
};

const inProject = permissions.filter((name) => holdsInProject(name) && rolePermissions('BASIC').has(name));

describe('sk- keys', () => {
  test('work like any other API key, and are distinguished by kind and prefix', async () => {
    const { data } = await create({ kind: 'ANYTHINGLLM', name: 'workspace script', role: 'BASIC' });
    const { secret, apiKey } = data.createApiKey;
    expect(secret).toMatch(/^sk-[0-9A-Za-z]{28}$/);
    expect(apiKey).toMatchObject({ kind: 'ANYTHINGLLM', role: 'BASIC', projectDatabaseId: null });
    expect(apiKey.display).toBe(`${secret.slice(0, 7)}********${secret.slice(-4)}`);
    expect(await held(secret)).toEqual(permissions.filter((name) => rolePermissions('BASIC').has(name)));
    const listed = await kit.gql(
      '{ apiKeys(first: 100, filter: { kinds: [ANYTHINGLLM] }) { totalCount nodes { databaseId kind } } }',
    );
    expect(listed.data.apiKeys.nodes).toEqual([{ databaseId: apiKey.databaseId, kind: 'ANYTHINGLLM' }]);
    expect(listed.data.apiKeys.totalCount).toBe(1);
    const renewed = await kit.gql('mutation ($id: ID!) { regenerateApiKey(input: { id: $id }) { secret } }', {
      id: apiKey.databaseId,
    });
    expect(renewed.data.regenerateApiKey.secret).toMatch(/^sk-/);
    expect(await held(secret)).toBeNull();
  });

  test('still work in the longer format of an earlier version', async () => {
    const { data } = await create({ kind: 'ANYTHINGLLM', name: 'old', role: 'BASIC' });
    const body = 'zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ';
    const old = `sk-${body}${checksum(body)}`;
    await kit.prisma.token.update({ where: { id: data.createApiKey.apiKey.databaseId }, data: secretColumns(old) });
    expect(await held(old)).toEqual(permissions.filter((name) => rolePermissions('BASIC').has(name)));
    expect((await kit.rest('GET', '/api/v1/auth', { key: old })).body).toEqual({ authenticated: true });
    expect(await held(data.createApiKey.secret)).toBeNull();
  });

  test('a kind that does not fit the project, and a project token without a project, are rejected', async () => {
    const { secret, projectId } = await ownerOf('ADMIN');
    const before = await kit.fingerprint();
    expect(field(await create({ kind: 'ANYTHINGLLM', projectId }, secret))).toBe('input.kind');
    expect(field(await create({ kind: 'PROJECT' }, secret))).toBe('input.projectId');
    expect(code(await create({ kind: 'SESSION' }, secret))).toBe('BAD_USER_INPUT');
    expect(await kit.fingerprint()).toBe(before);
  });
});

describe('project tokens', () => {
  test('hold only the permissions that apply within a project, regardless of their role', async () => {
    const owner = await ownerOf();
    const made = await token(owner.projectId, owner.secret, { name: 'bot' });
    expect(made.secret).toMatch(/^proj_[0-9A-Za-z]{36}$/);
    expect(await held(made.secret)).toEqual(inProject);
    const limited = await token(owner.projectId, owner.secret, { role: 'LIMITED' });
    expect(await held(limited.secret)).toEqual(['read:agents', 'write:chat']);
    const scoped = await token(owner.projectId, owner.secret, { scopes: ['read:chat'] });
    expect(await held(scoped.secret)).toEqual(['read:chat']);
    const { data } = await kit.gql(
      '{ viewer { token { kind projectDatabaseId } user { accountType } } }',
      {},
      made.secret,
    );
    expect(data.viewer).toEqual({
      token: { kind: 'PROJECT', projectDatabaseId: owner.projectId },
      user: { accountType: 'SERVICE_ACCOUNT' },
    });
  });

  test('can be created, listed, changed, renewed and deleted by the project’s owner', async () => {
    const owner = await ownerOf();
    const made = await token(owner.projectId, owner.secret, { name: 'bot' });
    const list = async () =>
      (
        await kit.gql(
          'query ($p: ID) { projectTokens(filter: { projectId: $p }) { totalCount nodes { databaseId name scopes disabled } } }',
          { p: owner.projectId },
          owner.secret,
        )
      ).data.projectTokens;
    expect(await list()).toEqual({
      totalCount: 1,
      nodes: [{ databaseId: made.id, name: 'bot', scopes: null, disabled: false }],
    });
    const changed = await kit.gql(
      'mutation ($input: UpdateProjectTokenInput!) { updateProjectToken(input: $input) { projectToken { name scopes } } }',
      { input: { id: made.id, name: 'reader', scopes: ['READ_CHAT'] } },
      owner.secret,
    );
    expect(changed.data.updateProjectToken.projectToken).toEqual({ name: 'reader', scopes: ['READ_CHAT'] });
    expect(await held(made.secret)).toEqual(['read:chat']);
    const renewed = await kit.gql(
      'mutation ($id: ID!) { regenerateProjectToken(input: { id: $id }) { secret projectToken { databaseId } } }',
      { id: made.id },
      owner.secret,
    );
    const { secret, projectToken } = renewed.data.regenerateProjectToken;
    expect([projectToken.databaseId, await held(made.secret), await held(secret)]).toEqual([
      made.id,
      null,
      ['read:chat'],
    ]);
    await kit.gql(
      'mutation ($id: ID!) { deleteProjectToken(input: { id: $id }) { deletedProjectTokenId } }',
      { id: made.id },
      owner.secret,
    );
    expect([await held(secret), (await list()).totalCount]).toEqual([null, 0]);
    expect(await kit.prisma.user.count({ where: { id: made.userId } })).toBe(0);
  });

  test('AZR 1 are reported as missing in every operation when the project belongs to another user', async () => {
    const owner = await ownerOf();
    const made = await token(owner.projectId, owner.secret);
    const other = await kit.createKey('BASIC');
    const before = await kit.fingerprint();
    const missing = 2_000_000_000;
    for (const operation of [
      'updateProjectToken(input: { id: $id, name: "taken over" }) { projectToken { name } }',
      'regenerateProjectToken(input: { id: $id }) { secret }',
      'deleteProjectToken(input: { id: $id }) { deletedProjectTokenId }',
    ]) {
      const query = `mutation ($id: ID!) { ${operation} }`;
      const [theirs, none] = [
        await kit.gql(query, { id: made.id }, other.secret),
        await kit.gql(query, { id: missing }, other.secret),
      ];
      expect([code(theirs), theirs.errors[0]?.message]).toEqual(['NOT_FOUND', none.errors[0]?.message]);
    }
    expect(code(await createProjectToken({ projectId: owner.projectId }, other.secret))).toBe('NOT_FOUND');
    const [foreign, none] = [await create({ projectId: owner.projectId }), await create({ projectId: missing })];
    expect([field(foreign), foreign.errors]).toEqual(['input.projectId', none.errors]);
    const { data } = await kit.gql('{ projectTokens { totalCount } }', {}, other.secret);
    expect(data.projectTokens.totalCount).toBe(0);
    expect(await kit.fingerprint()).toBe(before);
  });

  test('TOK 7 cannot have an administrative role, a scope beyond the project, or more rights than their creator', async () => {
    const owner = await ownerOf();
    const { projectId } = owner;
    const before = await kit.fingerprint();
    expect(field(await createProjectToken({ projectId, role: 'ADMIN' }, owner.secret))).toBe('input.role');
    expect(field(await createProjectToken({ projectId, scopes: ['write:tokens'] }, owner.secret))).toBe('input.scopes');
    expect(field(await createProjectToken({ projectId, scopes: [] }, owner.secret))).toBe('input.scopes');
    const past = new Date(Date.now() - 1000);
    expect(field(await createProjectToken({ projectId, expiresAt: past }, owner.secret))).toBe('input.expiresAt');
    expect(await kit.fingerprint()).toBe(before);
    const pat = await kit.createPat(owner.secret, { scopes: ['write:tokens', 'write:chat'] });
    const made = await kit.fingerprint();
    expect(code(await createProjectToken({ projectId }, pat.secret))).toBe('FORBIDDEN');
    expect(code(await createProjectToken({ projectId, scopes: ['read:chat'] }, pat.secret))).toBe('FORBIDDEN');
    expect(await kit.fingerprint()).toBe(made);
    expect(await held((await token(projectId, pat.secret, { scopes: ['write:chat'] })).secret)).toEqual(['write:chat']);
  });

  test('TOK 8 cannot create tokens', async () => {
    const owner = await ownerOf();
    const made = await token(owner.projectId, owner.secret);
    const before = await kit.fingerprint();
    const pat = await kit.rest('POST', '/api/user/pats', { key: made.secret, body: { name: 'more' } });
    const key = await kit.rest('POST', '/api/admin/api-key', { key: made.secret, body: { name: 'more' } });
    const another = await createProjectToken({ projectId: owner.projectId }, made.secret);
    expect([pat.status, key.status, code(another)]).toEqual([403, 403, 'FORBIDDEN']);
    expect(await kit.fingerprint()).toBe(before);
  });

  test('TOK 17 are limited to 100 in each project', async () => {
    const owner = await ownerOf();
    await kit.prisma.token.createMany({
      data: Array.from({ length: 99 }, (_, index) => ({
        kind: 'PROJECT' as const,
        hash: Uint8Array.from(Buffer.from(`filler ${index} of ${owner.projectId}`)),
        display: 'filler',
        userId: owner.userId,
        projectId: owner.projectId,
      })),
    });
    const raced = await Promise.all(
      [1, 2, 3].map(() => createProjectToken({ projectId: owner.projectId }, owner.secret)),
    );
    expect(raced.map(code).sort()).toEqual(['CONFLICT', 'CONFLICT', undefined]);
  });

  test('are supported by the Onyx endpoints: `project_id` is accepted, returned and listed', async () => {
    const { secret, projectId } = await ownerOf('ADMIN');
    const made = await kit.rest('POST', '/api/admin/api-key', {
      key: secret,
      body: { name: 'bot', project_id: projectId, scopes: ['read:chat', 'write:chat'] },
    });
    expect(made.body).toMatchObject({ project_id: projectId, scopes: ['read:chat', 'write:chat'] });
    expect(made.body.api_key).toMatch(/^proj_/);
    const listed = await kit.rest('GET', '/api/admin/api-key', { key: secret });
    expect(listed.body.find((key: { api_key_id: number }) => key.api_key_id === made.body.api_key_id)).toEqual({
      ...made.body,
      api_key: null,
    });
    const before = await kit.fingerprint();
    const foreign = await kit.rest('POST', '/api/admin/api-key', { body: { name: 'bot', project_id: projectId } });
    expect([foreign.status, foreign.body.message]).toEqual([400, 'project_id: must be one of your projects']);
    expect(await kit.fingerprint()).toBe(before);
    const deleted = await kit.rest('DELETE', `/api/admin/api-key/${made.body.api_key_id}`);
    expect([deleted.status, await held(made.body.api_key)]).toEqual([200, null]);
  });
});

describe('a token limited by its owner’s current permissions', () => {
  const update = (input: object) =>
    kit.gql('mutation ($input: UpdateApiKeyInput!) { updateApiKey(input: $input) { apiKey { databaseId } } }', {
      input: withScopes(input),
    });

  test('TOK 10 a personal token of a service account shrinks, ends and pauses with the account’s key', async () => {
    const key = await kit.createKey('BASIC', { scopes: ['write:tokens', 'read:chat', 'read:agents'] });
    const pat = await kit.createPat(key.secret, { scopes: ['read:chat', 'read:agents'] });
    expect(await held(pat.secret)).toEqual(['read:agents', 'read:chat']);
    await update({ id: key.id, scopes: ['read:agents', 'write:tokens'] });
    expect(await held(pat.secret)).toEqual(['read:agents']);
    await update({ id: key.id, disabled: true });
    expect(await held(pat.secret)).toBeNull();
    await update({ id: key.id, disabled: false });
    expect(await held(pat.secret)).toEqual(['read:agents']);
    await kit.prisma.token.update({ where: { id: key.id }, data: { expiresAt: new Date(Date.now() - 1000) } });
    expect(await held(pat.secret)).toBeNull();
  });

  test('TOK 10 a project token shrinks, ends and pauses with the owner of its project and the owner’s key', async () => {
    const owner = await ownerOf('BASIC');
    const made = await token(owner.projectId, owner.secret);
    await update({ id: owner.id, scopes: ['read:chat', 'write:tokens'] });
    expect(await held(made.secret)).toEqual(['read:chat']);
    await update({ id: owner.id, role: 'LIMITED', allScopes: true });
    expect(await held(made.secret)).toEqual(['read:agents', 'write:chat']);
    await update({ id: owner.id, disabled: true });
    expect(await held(made.secret)).toBeNull();
  });

  test('TOK 6 expires at the earliest end: of the token, of its overlap or of the key behind it', async () => {
    const key = await kit.createKey('BASIC');
    const pat = await kit.createPat(key.secret, { expiresInDays: 30 });
    const end = '2027-01-01T00:00:00.000Z';
    const ownEnd = async (secret: string) =>
      (await kit.gql('{ viewer { token { expiresAt } } }', {}, secret)).data.viewer.token.expiresAt;
    const before = await ownEnd(pat.secret);
    expect(before < end).toBe(true);
    await update({ id: key.id, expiresAt: end });
    expect([await ownEnd(pat.secret), await ownEnd(key.secret)]).toEqual([before, end]);
    const soon = new Date(Date.now() + 3_600_000).toISOString();
    await update({ id: key.id, expiresAt: soon });
    expect(await ownEnd(pat.secret)).toBe(soon);
    const renewed = await kit.gql(
      'mutation ($id: ID!) { regenerateApiKey(input: { id: $id, overlapMinutes: 10 }) { secret } }',
      { id: key.id },
    );
    expect(await ownEnd(renewed.data.regenerateApiKey.secret)).toBe(soon);
    expect((await ownEnd(key.secret)) < soon).toBe(true);
  });
});
