import { type Permission, permissions, permissionTable, rolePermissions } from '../../src/authz/permissions.ts';
import { newSecret } from '../../src/authz/secret.ts';
import { type Kit, type RoleName, withScopes } from '../kit.ts';
import type { Grant } from './targets.ts';

/** A caller with the permissions that the design grants. */
export interface Caller {
  name: string;
  /** null: no credential. */
  secret: string | null;
  /** `dead` is a credential that does not work. */
  state: 'none' | 'dead' | 'live';
  permissions: ReadonlySet<Permission>;
  userId: string;
  /** Set for a login session. */
  session?: true;
  /** The project that a token is restricted to. */
  projectId?: number;
}

const nobody = { permissions: new Set<Permission>(), userId: '00000000-0000-4000-8000-000000000000' };

export const stranger: Caller = { name: 'anonymous', secret: null, state: 'none', ...nobody };

/** Returns what the caller can grant: its first permission, with the lowest role that has it. */
export function grantOf(caller: Caller): Grant {
  const scope = permissions.find((permission) => caller.permissions.has(permission)) ?? 'read:agents';
  return { scope, role: permissionTable[scope].from };
}

/** Returns the role's permissions, restricted to the scopes. */
const held = (role: RoleName, scopes?: readonly string[]): ReadonlySet<Permission> =>
  new Set([...rolePermissions(role)].filter((permission) => !scopes || scopes.includes(permission)));

/** Creates an API key. */
export async function keyOf(kit: Kit, name: string, role: RoleName, scopes?: string[]): Promise<Caller> {
  const { secret, userId } = await kit.createKey(role, { name, ...(scopes && { scopes }) });
  return { name, secret, state: 'live', permissions: held(role, scopes), userId };
}

/** Creates a personal access token of a new user, who is demoted afterwards. */
async function tokenOf(
  kit: Kit,
  name: string,
  role: RoleName,
  { scopes, demoted }: { scopes?: string[]; demoted?: RoleName } = {},
): Promise<Caller> {
  const { secret: ownersSecret, userId } = await kit.createKey(role, { name: `owner of ${name}` });
  const { secret } = await kit.createPat(ownersSecret, scopes && { scopes });
  if (demoted) await kit.prisma.user.update({ where: { id: userId }, data: { role: demoted } });
  return { name, secret, state: 'live', permissions: held(demoted ?? role, scopes), userId };
}

/** Creates a login session of a new person. */
async function sessionOf(kit: Kit, name: string, role: RoleName): Promise<Caller> {
  const { session, userId } = await kit.person({ role });
  return { name, secret: session, state: 'live', permissions: held(role), userId, session: true };
}

/** Creates a token for a project of a new user, who is demoted afterwards. */
async function projectTokenOf(
  kit: Kit,
  name: string,
  { scopes, demoted }: { scopes?: string[]; demoted?: RoleName } = {},
): Promise<Caller> {
  const owner = await kit.createKey('BASIC', { name: `owner of the project of ${name}` });
  const { id: projectId } = await kit.prisma.project.create({ data: { name, ownerId: owner.userId } });
  const { data, errors } = await kit.gql(
    `mutation ($input: CreateProjectTokenInput!) { createProjectToken(input: $input) { secret projectToken { user { databaseId } } } }`,
    { input: withScopes({ projectId, name, scopes }) },
    owner.secret,
  );
  if (errors.length > 0) throw new Error(JSON.stringify(errors));
  if (demoted) await kit.prisma.user.update({ where: { id: owner.userId }, data: { role: demoted } });
  const { secret, projectToken } = data.createProjectToken;
  const confined = [...held(demoted ?? 'BASIC', scopes)].filter((permission) => permissionTable[permission].inProject);
  return {
    name,
    secret,
    state: 'live',
    permissions: new Set(confined),
    userId: projectToken.user.databaseId,
    projectId,
  };
}

const updateApiKey = `mutation ($input: UpdateApiKeyInput!) { updateApiKey(input: $input) { apiKey { databaseId } } }`;
const regenerateApiKey = `mutation ($id: ID!) { regenerateApiKey(input: { id: $id }) { secret } }`;

const revokeToken = `mutation ($id: ID!) {
  revokePersonalAccessToken(input: { id: $id }) { personalAccessToken { databaseId } }
}`;

async function change(kit: Kit, query: string, variables: object, secret = kit.keys.ADMIN): Promise<void> {
  const { errors } = await kit.gql(query, variables, secret);
  if (errors.length > 0) throw new Error(JSON.stringify(errors));
}

/** Returns a secret with another last character: the format is valid, the checksum is not. */
const misspelt = (secret: string) => secret.slice(0, -1) + (secret.endsWith('0') ? '1' : '0');

const dead = (name: string, secret: string): Caller => ({ name, secret, state: 'dead', ...nobody });

type Makers = Record<string, (kit: Kit, name: string) => Promise<Caller>>;

/** Creates a credential of each kind that does not work, by its name in the tests. */
const makeDead: Makers = {
  malformed: async (kit, name) => dead(name, misspelt(kit.keys.ADMIN)),
  unknown: async (_kit, name) => dead(name, newSecret('API_KEY')),
  'unknown personal token': async (_kit, name) => dead(name, newSecret('PERSONAL')),
  'unknown sk- key': async (_kit, name) => dead(name, newSecret('ANYTHINGLLM')),
  'unknown project token': async (_kit, name) => dead(name, newSecret('PROJECT')),
  'unknown session': async (_kit, name) => dead(name, newSecret('SESSION')),
  async 'session that was logged out'(kit, name) {
    const { session } = await kit.person({ role: 'ADMIN' });
    await change(kit, 'mutation { logout { __typename } }', {}, session);
    return dead(name, session);
  },
  async 'expired session'(kit, name) {
    const { session, userId } = await kit.person({ role: 'ADMIN' });
    await kit.prisma.token.updateMany({ where: { userId }, data: { expiresAt: new Date(Date.now() - 1000) } });
    return dead(name, session);
  },
  async 'session of a deactivated person'(kit, name) {
    const { session, userId } = await kit.person({ role: 'ADMIN' });
    await change(kit, 'mutation ($id: ID!) { deactivateUser(input: { user: { id: $id } }) { user { active } } }', {
      id: userId,
    });
    return dead(name, session);
  },
  async 'token of a project whose owner is deactivated'(kit, name) {
    const { secret, projectId } = await projectTokenOf(kit, name);
    const { ownerId } = await kit.prisma.project.findUniqueOrThrow({ where: { id: projectId ?? 0 } });
    await kit.prisma.user.update({ where: { id: ownerId }, data: { active: false } });
    return dead(name, secret as string);
  },
  async 'expired key'(kit, name) {
    const key = await kit.createKey('ADMIN', { name });
    await kit.prisma.token.update({ where: { id: key.id }, data: { expiresAt: new Date(Date.now() - 1000) } });
    return dead(name, key.secret);
  },
  async 'disabled key'(kit, name) {
    const key = await kit.createKey('ADMIN', { name });
    await change(kit, updateApiKey, { input: { id: key.id, disabled: true } });
    return dead(name, key.secret);
  },
  async 'old secret of a regenerated key'(kit, name) {
    const key = await kit.createKey('ADMIN', { name });
    await change(kit, regenerateApiKey, { id: key.id });
    return dead(name, key.secret);
  },
  async 'revoked personal token'(kit, name) {
    const owner = await kit.createKey('ADMIN', { name: `owner of ${name}` });
    const token = await kit.createPat(owner.secret);
    await change(kit, revokeToken, { id: token.id }, owner.secret);
    return dead(name, token.secret);
  },
  async 'personal token of a deactivated owner'(kit, name) {
    const owner = await kit.createKey('ADMIN', { name: `owner of ${name}` });
    const token = await kit.createPat(owner.secret);
    await kit.prisma.user.update({ where: { id: owner.userId }, data: { active: false } });
    return dead(name, token.secret);
  },
};

/** Creates a credential of each kind that works. */
const makeLive: Makers = {
  'limited key': (kit, name) => keyOf(kit, name, 'LIMITED'),
  'basic key': (kit, name) => keyOf(kit, name, 'BASIC'),
  'admin key': (kit, name) => keyOf(kit, name, 'ADMIN'),
  'admin key for two things': (kit, name) => keyOf(kit, name, 'ADMIN', ['manage:api_keys', 'read:chat']),
  async 'sk- key'(kit, name) {
    const { data } = await kit.gql(
      `mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret apiKey { user { databaseId } } } }`,
      { input: { kind: 'ANYTHINGLLM', role: 'BASIC', name } },
    );
    const { secret, apiKey } = data.createApiKey;
    return { name, secret, state: 'live', permissions: held('BASIC'), userId: apiKey.user.databaseId };
  },
  'project token': (kit, name) => projectTokenOf(kit, name),
  'project token for chatting': (kit, name) => projectTokenOf(kit, name, { scopes: ['write:chat'] }),
  'project token of a demoted owner': (kit, name) => projectTokenOf(kit, name, { demoted: 'LIMITED' }),
  'session of a limited person': (kit, name) => sessionOf(kit, name, 'LIMITED'),
  'session of a basic person': (kit, name) => sessionOf(kit, name, 'BASIC'),
  'session of an admin': (kit, name) => sessionOf(kit, name, 'ADMIN'),
  'personal token of basic': (kit, name) => tokenOf(kit, name, 'BASIC'),
  'personal token of admin': (kit, name) => tokenOf(kit, name, 'ADMIN'),
  'personal token for read:agents': (kit, name) => tokenOf(kit, name, 'BASIC', { scopes: ['read:agents'] }),
  'personal token for read:search': (kit, name) => tokenOf(kit, name, 'ADMIN', { scopes: ['read:search'] }),
  'personal token of a demoted owner': (kit, name) => tokenOf(kit, name, 'ADMIN', { demoted: 'LIMITED' }),
  'personal token for reading and writing chat, of a demoted owner': (kit, name) =>
    tokenOf(kit, name, 'BASIC', { scopes: ['read:chat', 'write:chat'], demoted: 'LIMITED' }),
};

/** All kinds of callers in the matrix. */
export const callerNames: readonly string[] = [stranger.name, ...Object.keys(makeDead), ...Object.keys(makeLive)];
/** The callers that are allowed to do anything. */
export const admittedNames: readonly string[] = [stranger.name, ...Object.keys(makeLive)];

export async function makeCallers(kit: Kit): Promise<Map<string, Caller>> {
  const callers = new Map([[stranger.name, stranger]]);
  for (const [name, make] of Object.entries({ ...makeDead, ...makeLive })) callers.set(name, await make(kit, name));
  return callers;
}
