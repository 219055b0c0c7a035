import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type GraphQLAnswer, type Kit, startKit } from '../../test/kit.ts';
import {
  effectivePermissions,
  isPermission,
  type Permission,
  permissions,
  permissionTable,
  type Role,
  rolePermissions,
  roles,
} from './permissions.ts';

const role = fc.constantFrom(...roles);
const permission = fc.constantFrom(...permissions);
/** Names of permissions, and whatever else a row of the database might hold. */
const scopes = fc.array(fc.oneof(permission, fc.string(), fc.constantFrom('', 'admin', '__proto__', 'constructor')));

describe('the table', () => {
  test('nests the roles: each holds what the one before it holds, and more', () => {
    for (const [index, name] of roles.entries()) {
      const lesser = roles[index - 1];
      if (!lesser) continue;
      const held = rolePermissions(name);
      expect([...rolePermissions(lesser)].filter((one) => !held.has(one))).toEqual([]);
      expect(held.size).toBeGreaterThan(rolePermissions(lesser).size);
    }
    expect([...rolePermissions('ADMIN')].sort()).toEqual([...permissions].sort());
  });

  test('gives a limited key chat and agents, and no history', () => {
    expect([...rolePermissions('LIMITED')].sort()).toEqual(['read:agents', 'write:chat']);
  });

  test('keeps administration from basic users', () => {
    const administration = /^manage:(?!chat$)|^read:(analytics|query_history|audit)$/;
    expect([...rolePermissions('BASIC')].filter((name) => administration.test(name))).toEqual([]);
    expect(permissions.filter((name) => administration.test(name)).sort()).toEqual(
      [...rolePermissions('ADMIN')].filter((name) => !rolePermissions('BASIC').has(name)).sort(),
    );
  });

  test('names every permission verb:noun and says what it allows', () => {
    for (const name of permissions) {
      expect(name).toMatch(/^(read|write|manage|use):[a-z_]+$/);
      expect(permissionTable[name].title).not.toBe('');
      expect(permissionTable[name].allows).toMatch(/\.$/);
    }
  });

  test('knows its own names and nothing that every object has', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.constantFrom('__proto__', 'constructor', 'toString', 'hasOwnProperty')),
        (name) => {
          expect(isPermission(name)).toBe((permissions as string[]).includes(name));
        },
      ),
    );
  });
});

describe('effective permissions', () => {
  test('are within the role and within the scopes, whatever the scopes say', () => {
    fc.assert(
      fc.property(role, scopes, (name, wanted) => {
        const held = effectivePermissions(name, wanted);
        for (const one of held) {
          expect(rolePermissions(name).has(one)).toBe(true);
          expect(wanted).toContain(one);
        }
        for (const one of wanted.filter(isPermission)) expect(held.has(one)).toBe(rolePermissions(name).has(one));
      }),
    );
  });

  test('are all of the role’s without scopes, and none with an empty list', () => {
    for (const name of roles) {
      expect([...effectivePermissions(name, null)].sort()).toEqual([...rolePermissions(name)].sort());
      expect(effectivePermissions(name, []).size).toBe(0);
    }
  });

  test('never grow with a lesser role or with fewer scopes', () => {
    fc.assert(
      fc.property(role, role, scopes, fc.func(fc.boolean()), (one, other, wanted, keeps) => {
        const [lesser, greater] = [one, other].sort((a, b) => roles.indexOf(a) - roles.indexOf(b)) as [Role, Role];
        const most = effectivePermissions(greater, wanted);
        for (const held of effectivePermissions(lesser, wanted)) expect(most.has(held)).toBe(true);
        for (const held of effectivePermissions(greater, wanted.filter(keeps))) expect(most.has(held)).toBe(true);
      }),
    );
  });
});

describe('through the server', () => {
  let kit: Kit;
  beforeAll(async () => {
    kit = await startKit();
  });
  afterAll(() => kit.close());

  interface Made {
    secret: string;
    /** Of an API key; a personal token cannot be changed. */
    keyId?: number;
  }

  type Step =
    | { do: 'key'; by: number; role: Role; scopes: Permission[] | null }
    | { do: 'pat'; by: number; scopes: Permission[] | null }
    | { do: 'update'; by: number; target: number; role: Role | undefined; scopes: Permission[] | null | undefined }
    | { do: 'regenerate'; by: number; target: number };

  // Few names, each with its weight, so that chains grow long before they run out of rights.
  const pool: Permission[] = [
    'manage:api_keys',
    'write:tokens',
    'read:agents',
    'write:chat',
    'read:chat',
    'read:audit',
  ];
  const some = fc.subarray(pool, { minLength: 1 });
  const maker = some.map((names): Permission[] => [
    ...new Set<Permission>(['manage:api_keys', 'write:tokens', ...names]),
  ]);
  const grant = fc.oneof(some, maker, fc.constant(null));
  /** The first token, one of the newest, or any. */
  const index = fc.oneof(fc.constant(0), fc.integer({ min: -3, max: -1 }), fc.nat({ max: 30 }));
  const keyRole = fc.oneof({ weight: 3, arbitrary: fc.constant<Role>('ADMIN') }, { weight: 1, arbitrary: role });
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({ do: fc.constant('key' as const), by: index, role: keyRole, scopes: grant }),
    fc.record({ do: fc.constant('pat' as const), by: index, scopes: grant }),
    fc.record({
      do: fc.constant('update' as const),
      by: index,
      target: index,
      role: fc.option(keyRole, { nil: undefined }),
      scopes: fc.option(grant, { nil: undefined }),
    }),
    fc.record({ do: fc.constant('regenerate' as const), by: index, target: index }),
  );

  const rightsOf = async (secret: string): Promise<string[]> =>
    (await kit.gql('{ viewer { permissions } }', {}, secret)).data.viewer.permissions;

  /** Sends a mutation; null when it was refused for a reason that a caller is meant to see. */
  async function attempt(query: string, input: object, secret: string): Promise<GraphQLAnswer['data']> {
    const { data, errors } = await kit.gql(query, { input }, secret);
    if (errors.length === 0) return Object.values(data)[0];
    expect(['FORBIDDEN', 'BAD_USER_INPUT', 'CONFLICT']).toContain(errors[0]?.extensions.code);
    return null;
  }

  /** Does a step and returns the token that came out of it with its new rights, or null when it was refused. */
  async function take(action: Step, tokens: Made[]): Promise<Made | null> {
    const pick = (at: number) => tokens.at(at % tokens.length) as Made;
    const { secret } = pick(action.by);
    if (action.do === 'key') {
      const made = await attempt(
        'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret apiKey { databaseId } } }',
        { role: action.role, scopes: action.scopes },
        secret,
      );
      return made && { secret: made.secret, keyId: made.apiKey.databaseId };
    }
    if (action.do === 'pat') {
      const made = await attempt(
        'mutation ($input: CreatePersonalAccessTokenInput!) { createPersonalAccessToken(input: $input) { secret } }',
        { name: 'chain', scopes: action.scopes },
        secret,
      );
      return made && { secret: made.secret };
    }
    const target = pick(action.target);
    if (target.keyId === undefined) return null;
    if (action.do === 'update') {
      const { role, scopes } = action;
      const input = { databaseId: target.keyId, ...(role && { role }), ...(scopes !== undefined && { scopes }) };
      const query = 'mutation ($input: UpdateApiKeyInput!) { updateApiKey(input: $input) { apiKey { databaseId } } }';
      return (await attempt(query, input, secret)) && target;
    }
    const renewed = await attempt(
      'mutation ($input: RegenerateApiKeyInput!) { regenerateApiKey(input: $input) { secret } }',
      { databaseId: target.keyId },
      secret,
    );
    if (renewed) target.secret = renewed.secret;
    return renewed && target;
  }

  test('no sequence of operations yields a token that may do more than the one that made or changed it', async () => {
    const example: Step[] = [
      { do: 'key', by: 1, role: 'ADMIN', scopes: ['manage:api_keys', 'write:tokens'] },
      { do: 'pat', by: 4, scopes: ['write:tokens'] },
      { do: 'update', by: 4, target: 2, role: undefined, scopes: ['manage:api_keys'] },
      { do: 'regenerate', by: 1, target: 4 },
      { do: 'pat', by: 5, scopes: ['read:agents'] },
    ];
    const done = { key: 0, pat: 0, update: 0, regenerate: 0, refused: 0, chained: 0 };
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 8, maxLength: 14 }), async (steps) => {
        const start = [
          await kit.createKey('ADMIN'),
          await kit.createKey('ADMIN', { scopes: ['manage:api_keys', 'write:tokens', 'read:agents', 'write:chat'] }),
          await kit.createKey('ADMIN', { scopes: ['manage:api_keys'] }),
          await kit.createKey('BASIC'),
        ];
        const tokens: Made[] = start.map(({ secret, id }) => ({ secret, keyId: id }));
        for (const action of steps) {
          const by = tokens.at(action.by % tokens.length) as Made;
          const allowed = await rightsOf(by.secret);
          const token = await take(action, tokens);
          done[token ? action.do : 'refused'] += 1;
          if (!token) continue;
          const rights = await rightsOf(token.secret);
          expect(rights.filter((name) => !allowed.includes(name))).toEqual([]);
          if (tokens.includes(token)) continue;
          if (tokens.indexOf(by) >= start.length) done.chained += 1;
          tokens.push(token);
        }
      }),
      { numRuns: 20, examples: [[example]] },
    );
    // The property says nothing unless tokens were made, by tokens that were made; the example sees to that.
    for (const count of Object.values(done)) expect(count).toBeGreaterThan(0);
  }, 60_000);
});
