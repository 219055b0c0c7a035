import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Kit, startKit, withScopes } from '../../test/kit.ts';
import { permissionNames } from '../rest/permission-names.ts';
import { type Permission, permissions, type Role, roles } from './permissions.ts';

/** Runs random sequences of operations on credentials and compares every step with the rules that this file states. */
let kit: Kit;
beforeAll(async () => {
  kit = await startKit();
});
afterAll(() => kit?.close());

// The model: what every credential is allowed to do, derived from the operations so far. It takes only names from the
// code under test.

const limited: Permission[] = ['read:agents', 'write:chat'];
const basic: Permission[] = [
  ...limited,
  ...(['write:agents', 'read:chat', 'manage:chat', 'read:search', 'read:actions', 'write:projects'] as const),
  ...(['read:users', 'write:tokens', 'use:llm_gateway'] as const),
];
const heldBy: Record<Role, readonly Permission[]> = { LIMITED: limited, BASIC: basic, ADMIN: permissions };
const inProject: Permission[] = [...limited, 'read:chat', 'manage:chat', 'read:search', 'write:projects'];

interface Account {
  id: string;
  role: Role;
  active: boolean;
  /** The login of a person. */
  login?: { email: string; password: string };
  /** The key of a service account. */
  key?: Token;
}

interface Project {
  id: number;
  owner: Account;
}

interface Token {
  kind: 'key' | 'personal' | 'project' | 'session';
  id: number;
  account: Account;
  scopes: readonly Permission[] | null;
  project: Project | null;
  ends: 'never' | 'later' | 'over';
  /** The expiry that the server returned. */
  expiresAt: string | null;
  /** The token that created this token, if the model knows it. */
  maker: Token | null;
  disabled: boolean;
  /** Set when the token was revoked, or deleted with its project, key or user. */
  gone: boolean;
  /** The current secret, and the previous one while its overlap lasts. */
  secrets: [current: string, previous?: string];
}

interface World {
  tokens: Token[];
  people: Account[];
  projects: Project[];
  /** Secrets that were replaced. */
  spent: string[];
}

const works = ({ gone, disabled, ends }: Token): boolean => !gone && !disabled && ends !== 'over';

/** Returns the permissions of a credential, or null when it does not work. */
function rightsOf(token: Token): Permission[] | null {
  const { kind, account, project } = token;
  const owner = kind === 'personal' ? account : project?.owner;
  const alive = works(token) && account.active && (owner?.active ?? true) && (!owner?.key || works(owner.key));
  if (!alive) return null;
  const limits = [heldBy[account.role], token.scopes, project && inProject, owner && heldBy[owner.role]];
  return permissions.filter((name) => [...limits, owner?.key?.scopes].every((limit) => limit?.includes(name) ?? true));
}

/** Returns whether a token was created by another token, directly or through other tokens. */
const derivesFrom = (token: Token, origin: Token): boolean =>
  token.maker !== null && (token.maker === origin || derivesFrom(token.maker, origin));

/**
 * Returns the latest possible expiry of credentials that a token creates: the expiry of the token or of the key that it
 * depends on, whichever is earlier. A login session sets no limit.
 */
function lastEnd({ kind, account, project, expiresAt }: Token): number {
  if (kind === 'session') return Number.POSITIVE_INFINITY;
  const behind = kind === 'personal' ? account.key : project?.owner.key;
  return Math.min(
    ...[expiresAt, behind?.expiresAt ?? null].map((end) => (end === null ? Number.POSITIVE_INFINITY : Date.parse(end))),
  );
}

/**
 * Applies a revocation to the model: personal access tokens and login sessions are gone, keys and project tokens are
 * turned off.
 */
function revoke(world: World, which: (token: Token) => boolean): void {
  for (const token of world.tokens.filter(which)) {
    if (token.kind === 'personal' || token.kind === 'session') token.gone = true;
    else token.disabled = true;
  }
}

/** Ends the matching tokens permanently. */
function end(world: World, which: (token: Token) => boolean): void {
  for (const token of world.tokens.filter(which)) token.gone = true;
}

const ofAccount =
  (account: Account) =>
  (token: Token): boolean =>
    token.account === account || token.project?.owner === account;

const serviceAccount = (id: string, role: Role): Account => ({ id, role, active: true });

function add(world: World, token: Pick<Token, 'kind' | 'id' | 'account'> & { secret: string } & Partial<Token>): Token {
  const { secret, ...rest } = token;
  const unless = { scopes: null, project: null, expiresAt: null, maker: null, disabled: false, gone: false } as const;
  const made: Token = { ...unless, ends: rest.expiresAt ? 'later' : 'never', secrets: [secret], ...rest };
  if (made.kind === 'key') made.account.key = made;
  world.tokens.push(made);
  return made;
}

function erase(world: World, account: Account): void {
  end(world, ofAccount(account));
  world.people = world.people.filter((person) => person !== account);
  world.projects = world.projects.filter(({ owner }) => owner !== account);
}

// The steps. Each is performed by a credential that works at that time, and may be denied.

type Operation =
  | 'person'
  | 'login'
  | 'key'
  | 'personal'
  | 'project'
  | 'projectToken'
  | 'update'
  | 'renew'
  | 'end'
  | 'changeRole'
  | 'deactivate'
  | 'activate'
  | 'deleteUser'
  | 'resetPassword'
  | 'revokeAll'
  | 'stale'
  | 'deleteProject'
  | 'elapse';

interface Step {
  do: Operation;
  /** The actor and the object, as positions in the lists of what exists at that time. */
  by: number;
  on: number;
  /** Set to look for the object among the actor's own first. */
  own: boolean;
  /** The role of the created object, or the new role of a person. */
  role: Role;
  scopes: Permission[] | null;
  /** The change of an update. */
  change: { role?: Role; scopes?: Permission[] | null; disabled?: boolean; ends?: 'never' | 'later' };
  /**
   * Selects the other of two variants: an `sk-` key, an expiry, an overlap, a project token through the mutations of
   * API keys.
   */
  other: boolean;
  /** True to keep the credentials that a regeneration or a new password would revoke. */
  keeps: boolean;
  /** The expected outcome of an example. */
  ends?: 'done' | 'refused';
}

/** The effects of a step: the tokens that it created or changed, and what another principal gained. */
interface Done {
  touched: Token[];
  /** The token that was created, changed or regenerated. Only a token without scopes can create one without scopes. */
  granted?: Token;
  given?: readonly Permission[];
}
type Outcome = Done | 'refused' | 'nothing there';

const refusals = ['FORBIDDEN', 'BAD_USER_INPUT', 'CONFLICT', 'NOT_FOUND', 'UNAUTHENTICATED'];

/** Sends a mutation. Returns null when it was denied with an error that callers are meant to see. */
async function call(by: Token, permission: Permission, field: string, type: string, input: object, reply = '') {
  const query = `mutation ($input: ${type}!) { ${field}(input: $input) { __typename ${reply} } }`;
  const { data, errors } = await kit.gql(query, { input: withScopes(input) }, by.secrets[0]);
  if (errors.length > 0) {
    expect(refusals, JSON.stringify(errors)).toContain(errors[0]?.extensions.code);
    return null;
  }
  expect(rightsOf(by), `${field} without its permission`).toContain(permission);
  return data[field];
}

/** Sends a mutation without an input, which a login session performs on itself. */
async function callBare(by: Token, field: string, reply: string) {
  const { data, errors } = await kit.gql(`mutation { ${field} { ${reply} } }`, {}, by.secrets[0]);
  if (errors.length === 0) return data[field];
  expect(refusals, JSON.stringify(errors)).toContain(errors[0]?.extensions.code);
  return null;
}

/** Only the owner can change a project, its tokens or personal access tokens. */
const ownedBy = (by: Token, owner: Account | undefined) => expect(owner?.id, 'another’s').toBe(by.account.id);

const at = <T>(list: readonly T[], place: number): T | undefined => list.at(place % Math.max(1, list.length));
const tomorrow = () => new Date(Date.now() + 24 * 3600 * 1000).toISOString();
/** An address can make 50 failed login attempts in 15 minutes, and this test runs from one address. */
let failedLogins = 0;

function operations(world: World): Record<Operation, (by: Token, step: Step) => Promise<Outcome>> {
  const created = (by: Token, token: Parameters<typeof add>[1]): Done => {
    const granted = add(world, { ...token, maker: by });
    // TOK 26: a credential that expires cannot create a credential that outlives it.
    expect(Date.parse(granted.expiresAt ?? '+275760-09-13')).toBeLessThanOrEqual(lastEnd(by));
    return { touched: [granted], granted };
  };
  const choose = <T>(list: readonly T[], { own, on }: Step, isOwn: (one: T) => boolean): T | undefined =>
    (own ? at(list.filter(isOwn), on) : undefined) ?? at(list, on);
  const mine = (by: Token) => (token: Token) => token !== by && ofAccount(by.account)(token);
  const person = (step: Step) => at(world.people, step.on);
  /** Performs an administrative operation on a person and applies its effect to the model. */
  async function administer(by: Token, step: Step, field: string, input: object, change: (account: Account) => void) {
    const account = person(step);
    if (!account) return 'nothing there';
    const type = `${field[0]?.toUpperCase()}${field.slice(1)}Input`;
    if (!(await call(by, 'manage:users', field, type, { user: { id: account.id }, ...input }))) return 'refused';
    const touched = world.tokens.filter(ofAccount(account));
    change(account);
    return { touched };
  }
  const endSessions = (account: Account) =>
    end(world, (token) => token.kind === 'session' && token.account === account);

  return {
    async person(by, { role }) {
      const login = { email: `${randomUUID()}@people.example`, password: randomUUID() };
      const made = await call(
        by,
        'manage:users',
        'createUser',
        'CreateUserInput',
        { ...login, role },
        'user { id: databaseId }',
      );
      if (!made) return 'refused';
      world.people.push({ id: made.user.id, role, active: true, login });
      return { touched: [], given: heldBy[role] };
    },

    async login(_by, step) {
      const account = person(step);
      if (!account?.login || (!account.active && failedLogins >= 40)) return 'nothing there';
      const { email: login, password } = account.login;
      const { data, errors } = await kit.gql(
        'mutation ($input: LoginInput!) { login(input: $input) { token } }',
        { input: { login, password } },
        null,
      );
      if (errors.length > 0) {
        failedLogins += 1;
        expect([errors[0]?.extensions.code, account.active]).toEqual(['BAD_USER_INPUT', false]);
        return 'refused';
      }
      add(world, { kind: 'session', id: 0, account, secret: data.login.token });
      return { touched: [] };
    },

    async key(by, { role, scopes, other }) {
      const input = { kind: other ? 'ANYTHINGLLM' : 'API_KEY', role, scopes };
      const reply = 'secret apiKey { databaseId expiresAt user { databaseId } }';
      const made = await call(by, 'manage:api_keys', 'createApiKey', 'CreateApiKeyInput', input, reply);
      if (!made) return 'refused';
      const { databaseId: id, user, expiresAt } = made.apiKey;
      const account = serviceAccount(user.databaseId, role);
      return created(by, { kind: 'key', id, account, scopes, expiresAt, secret: made.secret });
    },

    async personal(by, { scopes, other }) {
      const input = { name: 'chain', scopes, ...(other && { expiresInDays: 1 }) };
      const reply = 'secret personalAccessToken { databaseId expiresAt }';
      const type = 'CreatePersonalAccessTokenInput';
      const made = await call(by, 'write:tokens', 'createPersonalAccessToken', type, input, reply);
      if (!made) return 'refused';
      const { databaseId: id, expiresAt } = made.personalAccessToken;
      return created(by, { kind: 'personal', id, account: by.account, scopes, expiresAt, secret: made.secret });
    },

    async project(by) {
      const input = { name: 'a project' };
      const reply = 'project { databaseId }';
      const made = await call(by, 'write:projects', 'createProject', 'CreateProjectInput', input, reply);
      if (!made) return 'refused';
      world.projects.push({ id: made.project.databaseId, owner: by.account });
      return { touched: [] };
    },

    async projectToken(by, step) {
      const project = choose(world.projects, step, ({ owner }) => owner === by.account);
      if (!project) return 'nothing there';
      const { role, scopes, other } = step;
      const input = { role, scopes, projectId: project.id };
      const [permission, field, type, key] = other
        ? (['manage:api_keys', 'createApiKey', 'CreateApiKeyInput', 'apiKey'] as const)
        : (['write:tokens', 'createProjectToken', 'CreateProjectTokenInput', 'projectToken'] as const);
      const reply = `secret ${key} { databaseId expiresAt user { databaseId } }`;
      const made = await call(by, permission, field, type, input, reply);
      if (!made) return 'refused';
      ownedBy(by, project.owner);
      const { databaseId: id, user, expiresAt } = made[key];
      return created(by, {
        kind: 'project',
        id,
        expiresAt,
        account: serviceAccount(user.databaseId, role),
        scopes,
        project,
        secret: made.secret,
      });
    },

    async update(by, step) {
      const token = choose(
        world.tokens.filter(({ kind }) => kind === 'key' || kind === 'project'),
        step,
        mine(by),
      );
      if (!token) return 'nothing there';
      const { ends, ...change } = step.change;
      const expiry = ends && (ends === 'never' ? { neverExpires: true } : { expiresAt: tomorrow() });
      const [permission, field, type] =
        token.kind === 'key' || step.other
          ? (['manage:api_keys', 'updateApiKey', 'UpdateApiKeyInput'] as const)
          : (['write:tokens', 'updateProjectToken', 'UpdateProjectTokenInput'] as const);
      const input = { id: token.id, ...change, ...(change.scopes === null && { allScopes: true }), ...expiry };
      const reply = `${field === 'updateApiKey' ? 'apiKey' : 'projectToken'} { expiresAt }`;
      const updated = await call(by, permission, field, type, input, reply);
      if (!updated) return 'refused';
      if (field === 'updateProjectToken') ownedBy(by, token.project?.owner);
      const { account } = token;
      const { role = account.role, scopes, disabled } = change;
      // A new role without scopes permanently reduces existing scopes.
      if (scopes !== undefined) token.scopes = scopes;
      else if (role !== account.role)
        token.scopes = token.scopes?.filter((name) => heldBy[role].includes(name)) ?? null;
      account.role = role;
      token.disabled = disabled ?? token.disabled;
      if (ends) {
        token.ends = ends;
        token.expiresAt = (updated.apiKey ?? updated.projectToken).expiresAt;
        // TOK 26: an update cannot make another credential outlive the caller's credential either.
        expect(Date.parse(token.expiresAt ?? '+275760-09-13')).toBeLessThanOrEqual(lastEnd(by));
      }
      return { touched: world.tokens.filter(ofAccount(account)), granted: token };
    },

    async renew(by, step) {
      const renewable = world.tokens.filter(
        (token) => token.kind === 'key' || token.kind === 'project' || (token.kind === 'session' && token === by),
      );
      const token = choose(renewable, step, (one) => one === by || mine(by)(one));
      if (!token) return 'nothing there';
      let renewed: { secret: string } | null;
      if (token.kind === 'session') {
        const session = await callBare(by, 'refreshSession', 'token');
        renewed = session && { secret: session.token };
      } else {
        const [permission, field, type] =
          token.kind === 'key'
            ? (['manage:api_keys', 'regenerateApiKey', 'RegenerateApiKeyInput'] as const)
            : (['write:tokens', 'regenerateProjectToken', 'RegenerateProjectTokenInput'] as const);
        const input = {
          id: token.id,
          overlapMinutes: step.other ? 10 : 0,
          ...(step.keeps && { keepDerivedCredentials: true }),
        };
        renewed = await call(by, permission, field, type, input, 'secret');
      }
      if (!renewed) return 'refused';
      if (token.kind === 'project') ownedBy(by, token.project?.owner);
      const [before, previous] = token.secrets;
      const overlaps = token.kind === 'session' || step.other;
      token.secrets = overlaps ? [renewed.secret, before] : [renewed.secret];
      world.spent.push(...[previous, overlaps ? undefined : before].filter((secret) => secret !== undefined));
      // TOK 23: credentials that were created with the old secret are revoked together with it.
      if (token.kind !== 'session' && !step.keeps) revoke(world, (one) => derivesFrom(one, token));
      return { touched: [token], granted: token };
    },

    /** TOK 24: a replaced secret that still works cannot create, change or revoke credentials. */
    async stale(_by, step) {
      const token = at(
        world.tokens.filter((one) => one.secrets[1] !== undefined && rightsOf(one) !== null),
        step.on,
      );
      if (!token) return 'nothing there';
      const [, secret] = token.secrets;
      const target = at(world.tokens, step.by);
      const attempts: [Permission, string, string, object][] = [
        ['write:tokens', 'createPersonalAccessToken', 'CreatePersonalAccessTokenInput', { name: 'stale' }],
        ['write:tokens', 'revokePersonalAccessToken', 'RevokePersonalAccessTokenInput', { id: target?.id ?? 0 }],
        ['manage:api_keys', 'createApiKey', 'CreateApiKeyInput', { role: 'LIMITED' }],
        ['manage:api_keys', 'regenerateApiKey', 'RegenerateApiKeyInput', { id: token.id }],
        ['manage:users', 'createInviteCode', 'CreateInviteCodeInput', {}],
      ];
      const held = attempts.filter(([permission]) => rightsOf(token)?.includes(permission));
      for (const [, field, type, input] of held) {
        const query = `mutation ($input: ${type}!) { ${field}(input: $input) { __typename } }`;
        const { errors } = await kit.gql(query, { input }, secret);
        expect([field, errors[0]?.extensions.code, errors[0]?.message]).toEqual([
          field,
          'FORBIDDEN',
          expect.stringContaining('replaced'),
        ]);
      }
      return held.length > 0 ? { touched: [] } : 'nothing there';
    },

    async end(by, step) {
      const endable = world.tokens.filter((token) => !token.gone && (token.kind !== 'session' || token === by));
      const token = choose(endable, step, (one) => (one === by && one.kind === 'session') || mine(by)(one));
      if (!token) return 'nothing there';
      const input = { id: token.id };
      const ended = {
        session: () => callBare(by, 'logout', 'endedUserCredentialId'),
        personal: () => call(by, 'write:tokens', 'revokePersonalAccessToken', 'RevokePersonalAccessTokenInput', input),
        project: () => call(by, 'write:tokens', 'deleteProjectToken', 'DeleteProjectTokenInput', input),
        key: () => call(by, 'manage:api_keys', 'deleteApiKey', 'DeleteApiKeyInput', input),
      };
      if (!(await ended[token.kind]())) return 'refused';
      if (token.kind !== 'key') ownedBy(by, token.project?.owner ?? token.account);
      else erase(world, token.account);
      token.gone = true;
      // A personal access token can revoke any token of its user that is allowed to create tokens.
      return { touched: token.kind === 'personal' ? [] : [token] };
    },

    changeRole: (by, step) =>
      administer(by, step, 'changeUserRole', { role: step.role }, (account) => {
        account.role = step.role;
      }),

    deactivate: (by, step) =>
      administer(by, step, 'deactivateUser', {}, (account) => {
        account.active = false;
        endSessions(account);
      }),

    activate: (by, step) =>
      administer(by, step, 'activateUser', {}, (account) => {
        account.active = true;
      }),

    deleteUser: (by, step) => administer(by, step, 'deleteUser', {}, (account) => erase(world, account)),

    async resetPassword(by, step) {
      const account = person(step);
      if (!account?.login) return 'nothing there';
      const input = { user: { id: account.id }, ...(step.keeps && { keepTokens: true }) };
      const reply = 'newPassword';
      const reset = await call(by, 'manage:users', 'resetUserPassword', 'ResetUserPasswordInput', input, reply);
      if (!reset) return 'refused';
      account.login.password = reset.newPassword;
      endSessions(account);
      if (!step.keeps) revoke(world, (token) => token.kind !== 'key' && ofAccount(account)(token));
      return { touched: [], given: heldBy[account.role] };
    },

    /** TOK 27: an administrator of users can revoke all credentials of a user. */
    async revokeAll(by, step) {
      const account = person(step);
      if (!account) return 'nothing there';
      const type = 'RevokeUserCredentialsInput';
      if (!(await call(by, 'manage:users', 'revokeUserCredentials', type, { userId: account.id }))) return 'refused';
      revoke(world, ofAccount(account));
      return { touched: [], given: heldBy[account.role] };
    },

    async deleteProject(by, step) {
      const project = choose(world.projects, step, ({ owner }) => owner === by.account);
      if (!project) return 'nothing there';
      const input = { id: project.id };
      if (!(await call(by, 'write:projects', 'deleteProject', 'DeleteProjectInput', input))) return 'refused';
      ownedBy(by, project.owner);
      end(world, (token) => token.project === project);
      world.projects = world.projects.filter((one) => one !== project);
      return { touched: [] };
    },

    /** Not an operation of a caller: the expiry of a token, or the end of an overlap, is reached. */
    async elapse(_by, step) {
      const ending = world.tokens.filter(
        ({ kind, ends, gone, secrets }) => kind !== 'session' && !gone && (ends === 'later' || secrets[1]),
      );
      const token = at(ending, step.on);
      if (!token) return 'nothing there';
      const [current, previous] = token.secrets;
      const past = new Date(Date.now() - 1000);
      const data = previous ? { previousExpiresAt: past } : { expiresAt: past };
      await kit.prisma.token.update({ where: { id: token.id }, data });
      if (previous) {
        token.secrets = [current];
        world.spent.push(previous);
      } else token.ends = 'over';
      return { touched: [] };
    },
  };
}

/** Every run starts with these objects: keys with many and with few permissions, a person, and projects of theirs. */
async function opening(): Promise<World> {
  const world: World = { tokens: [], people: [], projects: [], spent: [] };
  const key = async (role: Role, scopes: Permission[] | null) => {
    const { id, secret, userId } = await kit.createKey(role, scopes ? { scopes } : {});
    return add(world, { kind: 'key', id, account: serviceAccount(userId, role), scopes, secret });
  };
  await key('ADMIN', null);
  const scoped = await key('ADMIN', [...inProject, 'manage:api_keys', 'write:tokens']);
  const plain = await key('BASIC', null);
  const { userId, session, ...login } = await kit.person();
  const account: Account = { id: userId, role: 'BASIC', active: true, login };
  world.people.push(account);
  const person = add(world, { kind: 'session', id: 0, account, secret: session });
  for (const by of [scoped, plain, person])
    expect(await operations(world).project(by, does('project', 0))).toEqual({ touched: [] });
  return world;
}

/** Returns the permissions that the server reports for a secret, or null when it does not work. */
async function asked(secret: string): Promise<string[] | null> {
  const { status, data, errors } = await kit.gql('{ viewer { permissions } }', {}, secret);
  if (data) return permissionNames(data.viewer.permissions).sort();
  expect([status, errors[0]?.extensions.code]).toEqual([401, 'UNAUTHENTICATED']);
  return null;
}

/** Checks every secret that ever existed against the model and returns the permissions of each token. */
async function check(world: World): Promise<Map<Token, readonly string[]>> {
  const known = world.tokens.flatMap((token) => token.secrets.map((secret) => ({ token, secret: secret as string })));
  const answers = await Promise.all(known.map(async ({ token, secret }) => ({ token, rights: await asked(secret) })));
  const told = ({ kind, id }: Token, index: number, rights: readonly string[] | null) =>
    `${index} ${kind} ${id}: ${rights === null ? 'nothing' : [...rights].sort().join(' ')}`;
  expect(answers.map(({ token, rights }, index) => told(token, index, rights))).toEqual(
    known.map(({ token }, index) => told(token, index, rightsOf(token))),
  );
  expect(await Promise.all(world.spent.map(asked))).toEqual(world.spent.map(() => null));
  return new Map(answers.map(({ token, rights }) => [token, rights ?? []]));
}

const beyond = (some: readonly string[], others: readonly string[]): string[] =>
  some.filter((name) => !others.includes(name));

// Few names with a weight each, so that chains of tokens grow long before their permissions run out.
const makers: Permission[] = ['manage:api_keys', 'write:tokens', 'write:projects'];
const some = fc.subarray<Permission>(
  [...makers, 'manage:users', 'read:agents', 'write:chat', 'read:chat', 'read:audit'],
  { minLength: 1 },
);
const grant = fc.oneof(
  some,
  some.map((names) => [...new Set([...makers, ...names])]),
  fc.constant(null),
);
const confined = fc.oneof(
  { weight: 3, arbitrary: fc.subarray<Permission>(['read:agents', 'write:chat', 'read:chat'], { minLength: 1 }) },
  { weight: 2, arbitrary: fc.constant(null) },
  { weight: 1, arbitrary: some },
);
const anyRole = fc.constantFrom(...roles);
const mostly = (role: Role) => fc.oneof({ weight: 3, arbitrary: fc.constant(role) }, { weight: 2, arbitrary: anyRole });
/** The first object, one of the newest, or any. */
const place = fc.oneof(fc.constant(0), fc.integer({ min: -3, max: -1 }), fc.nat({ max: 30 }));

const doing = (
  name: Operation,
  weight: number,
  role = mostly('BASIC'),
  scopes: fc.Arbitrary<Step['scopes']> = grant,
) => ({
  weight,
  arbitrary: fc.record<Step>({
    do: fc.constant(name),
    by: place,
    on: place,
    own: fc.oneof({ weight: 2, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
    role,
    scopes,
    change: fc.record(
      {
        role: anyRole,
        scopes: fc.oneof(grant, confined),
        disabled: fc.boolean(),
        ends: fc.constantFrom('never', 'later'),
      },
      { requiredKeys: [] },
    ),
    other: fc.boolean(),
    keeps: fc.boolean(),
  }),
});
const anyStep = fc.oneof(
  doing('person', 2, mostly('ADMIN')),
  doing('login', 3),
  doing('key', 4, mostly('ADMIN')),
  doing('personal', 5),
  doing('project', 2),
  doing('projectToken', 5, mostly('BASIC'), confined),
  doing('update', 7),
  doing('renew', 3),
  doing('end', 2),
  doing('changeRole', 3, anyRole),
  doing('deactivate', 2),
  doing('activate', 2),
  doing('deleteUser', 1),
  doing('resetPassword', 1),
  doing('revokeAll', 1),
  doing('stale', 2),
  doing('deleteProject', 1),
  doing('elapse', 2),
);

const step =
  (ends: Step['ends']) =>
  (name: Operation, by: number, rest: Partial<Step> = {}): Step => ({
    ...{ do: name, by, on: 0, own: false, role: 'BASIC', scopes: null, change: {}, other: false, keeps: true, ends },
    ...rest,
  });
const does = step('done');
const fails = step('refused');
/**
 * Sequences in which every operation succeeds at least once. Positions refer to what works or exists at that moment.
 */
const examples: Step[][] = [
  [
    // The tokens of a service account are reduced, paused and ended with its key.
    does('personal', 2),
    does('personal', -1, { scopes: ['write:tokens', 'read:chat'], other: true }),
    fails('personal', -1),
    fails('personal', -1, { scopes: ['write:chat'] }),
    does('projectToken', 2, { own: true }),
    does('update', 0, { on: 2, change: { scopes: ['read:chat', 'write:chat'] } }),
    does('update', 0, { on: 2, change: { role: 'LIMITED' } }),
    does('update', 0, { on: 2, change: { role: 'BASIC', scopes: null, ends: 'later' } }),
    does('elapse', 0, { on: -1 }),
    does('elapse', 0),
    does('update', 0, { on: 2, change: { ends: 'never', disabled: true } }),
    does('update', 0, { on: 2, change: { disabled: false } }),
    does('renew', 0, { on: 2 }),
    does('end', 2, { own: true }),
    does('end', 0, { on: 2 }),
  ],
  [
    // The tokens of a person are reduced, paused and ended with the person.
    does('personal', 3),
    does('personal', 3, { scopes: ['read:chat', 'write:chat'] }),
    does('projectToken', 3, { own: true, scopes: ['read:chat', 'write:chat'] }),
    does('changeRole', 0, { role: 'ADMIN' }),
    does('changeRole', 0, { role: 'LIMITED' }),
    does('deactivate', 0),
    fails('login', 0),
    does('activate', 0),
    does('resetPassword', 0),
    does('login', 0),
    does('renew', -1, { on: -1, own: true }),
    does('end', -1, { on: -1, own: true }),
    does('login', 0),
    does('deactivate', 0),
    does('deleteUser', 0),
  ],
  [
    // A created token creates others; a scoped token creates none with more permissions than its own.
    does('person', 0, { role: 'ADMIN' }),
    does('login', 0, { on: -1 }),
    does('personal', -1, { scopes: ['manage:api_keys', 'write:projects', 'read:agents'] }),
    does('project', -1),
    does('projectToken', -1, { own: true, scopes: ['read:agents'], other: true }),
    does('key', -2, { role: 'ADMIN', scopes: ['manage:api_keys'], other: true }),
    fails('key', -1, { role: 'ADMIN' }),
    fails('update', -1, { on: 1, change: { scopes: null } }),
    fails('renew', -1),
    does('deleteProject', -3, { own: true }),
  ],
  [
    // An `sk-` key limits its tokens like any other key, and a superseded secret works during its overlap.
    does('key', 0, { other: true }),
    does('personal', -1),
    does('project', -2),
    does('projectToken', -2, { own: true }),
    does('update', 0, { on: 3, change: { scopes: ['read:chat', 'write:chat', 'write:tokens'] } }),
    does('renew', 0, { on: 3, other: true }),
    does('elapse', 0),
    does('update', 0, { on: 3, change: { ends: 'later' } }),
    does('elapse', 0),
  ],
  [
    // Attempts at privilege escalation, at objects of principals with more permissions, and at objects of other users.
    does('key', 0, { role: 'ADMIN', scopes: ['manage:users', 'read:agents', 'write:chat'] }),
    fails('key', 1, { role: 'LIMITED' }),
    fails('update', 1, { change: { disabled: true } }),
    fails('renew', 1),
    fails('end', 1),
    fails('projectToken', 1, { on: 1, scopes: ['read:chat'] }),
    fails('projectToken', 0, { on: 1, other: true }),
    fails('person', -1),
    fails('changeRole', -1, { role: 'LIMITED' }),
    fails('resetPassword', -1),
    fails('deactivate', -1),
    does('personal', 3),
    fails('end', 0, { on: -1 }),
    does('person', 4, { role: 'LIMITED' }),
    fails('changeRole', 4, { on: 1, role: 'ADMIN' }),
    does('deactivate', 4, { on: 1 }),
  ],
  [
    // Credentials that a key created, directly or through its tokens, are revoked together with its old secret, which
    // can no longer create credentials.
    does('key', 0, { role: 'ADMIN' }),
    does('personal', -1),
    does('key', -1),
    does('personal', -1),
    does('renew', 0, { on: 3, other: true, keeps: false }),
    does('stale', 0),
    does('personal', -1),
    does('renew', 0, { on: 3 }),
    does('personal', 3),
    does('projectToken', 3, { own: true, scopes: ['read:chat'] }),
    does('resetPassword', 0, { keeps: false }),
    does('login', 0),
    does('personal', -1),
    does('revokeAll', 0),
  ],
  [
    // A token that expires cannot create a credential that outlives it, and cannot extend a credential beyond its own
    // expiry.
    does('personal', 0, { other: true }),
    does('personal', -1),
    does('key', -2),
    fails('renew', -3),
    fails('update', -3, { on: 1, change: { ends: 'never' } }),
  ],
];

test('AZR 2, TOK 7, TOK 8, TOK 10, TOK 23, TOK 24, TOK 26: rights never exceed role, scopes, project or maker', async () => {
  const count = { chained: 0, refused: 0, widened: 0, narrowed: 0 };
  const done = new Map<Operation, number>();
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { minLength: 8, maxLength: 14 }), async (steps) => {
      const world = await opening();
      const first = new Set(world.tokens);
      let before = await check(world);
      for (const taken of steps) {
        const by = at(
          world.tokens.filter((token) => rightsOf(token) !== null),
          taken.by,
        );
        if (!by) break;
        const allowed = before.get(by) ?? [];
        const scopesBefore = by.scopes;
        const outcome = await operations(world)[taken.do](by, taken);
        if (taken.ends)
          expect([taken.do, typeof outcome === 'string' ? outcome : 'done']).toEqual([taken.do, taken.ends]);
        // A denied operation leaves the model unchanged.
        const after = await check(world);
        if (outcome === 'refused') count.refused += 1;
        if (typeof outcome === 'string') continue;
        done.set(taken.do, (done.get(taken.do) ?? 0) + 1);
        if (!first.has(by)) count.chained += 1;
        // Neither the changed object nor its new state had more permissions than the actor.
        const touched = outcome.touched.flatMap((token) => [before.get(token) ?? [], after.get(token) ?? []]);
        expect(beyond([outcome.given ?? [], ...touched].flat(), allowed)).toEqual([]);
        if (outcome.granted?.scopes === null) expect(scopesBefore).toBeNull();
        for (const [token, rights] of after) {
          const gained = beyond(rights, before.get(token) ?? []);
          // Logging in proves an identity; no other principal grants the permissions.
          if (taken.do !== 'login') expect(beyond(gained, allowed)).toEqual([]);
          if (before.has(token) && gained.length > 0) count.widened += 1;
          if (beyond(before.get(token) ?? [], rights).length > 0) count.narrowed += 1;
        }
        before = after;
      }
    }),
    { numRuns: 15 + examples.length, examples: examples.map((steps): [Step[]] => [steps]) },
  );
  // The property is only meaningful if many operations were performed, by created tokens too. The examples ensure that.
  for (const name of Object.keys(operations({ tokens: [], people: [], projects: [], spent: [] })))
    expect(done.get(name as Operation), name).toBeGreaterThan(0);
  for (const [name, times] of Object.entries(count)) expect(times, name).toBeGreaterThan(0);
}, 60_000);
