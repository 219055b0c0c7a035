import { afterAll, afterEach, beforeAll, expect, vi } from 'vitest';
import { newSecret } from '../../src/authz/secret.ts';
import { permissionNames } from '../../src/rest/permission-names.ts';
import { type GraphQLAnswer, type Kit, startKit, withScopes } from '../kit.ts';
import { deleteKey, regenerateKey, revokePat, updateKey } from './keys.ts';

/** Secrets of the server that no response may contain. */
export const settings = { AUTH_TOKEN: 'the owner’s own password', LLM_API_KEY: 'sk-provider-0123456789' };

export let kit: Kit;

export const createKey = (input: object, key?: string) =>
  kit.gql(
    'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret apiKey { databaseId } } }',
    { input: withScopes(input) },
    key,
  );
export const createPat = (input: object, key: string) =>
  kit.gql(
    'mutation ($input: CreatePersonalAccessTokenInput!) { createPersonalAccessToken(input: $input) { secret } }',
    { input: withScopes(input) },
    key,
  );
export const permissionsOf = async (secret: string): Promise<string[] | null> => {
  const found = (await kit.gql('{ viewer { permissions } }', {}, secret)).data?.viewer;
  return found ? permissionNames(found.permissions) : null;
};
export const code = ({ errors }: GraphQLAnswer): unknown => errors[0]?.extensions.code;

/** Returns the 36 secret characters. */
export const random = (secret: string) => secret.slice(-36);
/** Returns whether a secret works. Both APIs must agree. */
export async function works(secret: string): Promise<boolean> {
  const [graph, rest] = [await permissionsOf(secret), await kit.rest('GET', '/api/me', { key: secret })];
  expect(rest.status).toBe(graph ? 200 : 403);
  return graph !== null;
}

/** Returns every table of the database, including the audit trail, as JSON text. */
export async function dump(): Promise<string> {
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
export async function deadSecrets(): Promise<Record<string, string>> {
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

/** Starts the server of a test file about tokens. */
export function useTokenKit(): void {
  beforeAll(async () => {
    kit = await startKit({ environment: settings });
  });
  afterAll(() => kit.close());
  afterEach(() => {
    vi.useRealTimers();
  });
}
