import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  effectivePermissions,
  holdsInProject,
  intersection,
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
/** Names of permissions, and other texts that a database row could contain. */
const scopes = fc.array(fc.oneof(permission, fc.string(), fc.constantFrom('', 'admin', '__proto__', 'constructor')));

describe('the permission table', () => {
  test('nests the roles: each role includes all permissions of the previous role and more', () => {
    for (const [index, name] of roles.entries()) {
      const lesser = roles[index - 1];
      if (!lesser) continue;
      const held = rolePermissions(name);
      expect([...rolePermissions(lesser)].filter((one) => !held.has(one))).toEqual([]);
      expect(held.size).toBeGreaterThan(rolePermissions(lesser).size);
    }
    expect([...rolePermissions('ADMIN')].sort()).toEqual([...permissions].sort());
  });

  test('grants a limited key chat and agents, and no chat history', () => {
    expect([...rolePermissions('LIMITED')].sort()).toEqual(['read:agents', 'write:chat']);
  });

  test('grants basic users no administration permission', () => {
    const administration = /^manage:(?!chat$)|^read:(analytics|query_history|audit)$/;
    expect([...rolePermissions('BASIC')].filter((name) => administration.test(name))).toEqual([]);
    expect(permissions.filter((name) => administration.test(name)).sort()).toEqual(
      [...rolePermissions('ADMIN')].filter((name) => !rolePermissions('BASIC').has(name)).sort(),
    );
  });

  test('excludes administration, other credentials and the user directory from a project token', () => {
    const confined = permissions.filter(holdsInProject);
    const beyond = /^manage:(?!chat$)|^read:(analytics|query_history|audit|users)$|^write:(tokens|agents)$|^use:/;
    expect(confined.filter((name) => beyond.test(name))).toEqual([]);
    // A project token has permissions to use, some of them with the lowest role.
    expect(confined).toEqual(expect.arrayContaining(['read:agents', 'write:chat', 'read:chat', 'write:projects']));
    const marked = Object.entries(permissionTable).filter(([, { inProject }]) => inProject);
    expect(marked.map(([name]) => name).sort()).toEqual([...confined].sort());
  });

  test('names each permission verb:noun and describes what it allows', () => {
    for (const name of permissions) {
      expect(name).toMatch(/^(read|write|manage|use):[a-z_]+$/);
      expect(permissionTable[name].title).not.toBe('');
      expect(permissionTable[name].allows).toMatch(/\.$/);
    }
  });

  test('recognizes exactly the defined permission names and no inherited object property', () => {
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
  test('are limited to both the role and the scopes, even with unknown scope names', () => {
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

  test('are all permissions of the role without scopes, and empty with an empty list of scopes', () => {
    for (const name of roles) {
      expect([...effectivePermissions(name, null)].sort()).toEqual([...rolePermissions(name)].sort());
      expect(effectivePermissions(name, []).size).toBe(0);
    }
  });

  test('never grow with a lower role or with fewer scopes', () => {
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

describe('restricting permissions', () => {
  const held = fc.uniqueArray(permission).map((names): ReadonlySet<Permission> => new Set(names));
  const sorted = (set: ReadonlySet<Permission>) => [...set].sort();

  test('by intersection keeps only common permissions and is commutative, associative and idempotent', () => {
    fc.assert(
      fc.property(held, held, held, (some, others, third) => {
        const both = intersection(some, others);
        expect(sorted(both)).toEqual(permissions.filter((name) => some.has(name) && others.has(name)).sort());
        expect(sorted(intersection(others, some))).toEqual(sorted(both));
        expect(sorted(intersection(both, both))).toEqual(sorted(both));
        expect(sorted(intersection(both, others))).toEqual(sorted(both));
        expect(sorted(intersection(both, third))).toEqual(sorted(intersection(some, intersection(others, third))));
      }),
    );
  });

  test('does not change its inputs or the permissions of a role', () => {
    fc.assert(
      fc.property(role, held, scopes, (name, limit, wanted) => {
        const before = sorted(rolePermissions(name));
        intersection(rolePermissions(name), limit);
        intersection(limit, effectivePermissions(name, wanted));
        expect(sorted(rolePermissions(name))).toEqual(before);
      }),
    );
  });

  interface Parts {
    role: Role;
    scopes: string[] | null;
    confined: boolean;
    ownerRole: Role | null;
    keyScopes: ReadonlySet<Permission> | null;
  }
  const parts = fc.record<Parts>({
    role,
    scopes: fc.option(scopes),
    confined: fc.boolean(),
    ownerRole: fc.option(role),
    keyScopes: fc.option(held),
  });
  type Cut = (from: ReadonlySet<Permission>) => ReadonlySet<Permission>;
  /** Each restriction of a credential as a separate cut. */
  const cutsOf = ({ role: name, scopes: wanted, confined, ownerRole, keyScopes }: Parts): Cut[] => [
    (from) => intersection(from, rolePermissions(name)),
    (from) => intersection(from, effectivePermissions('ADMIN', wanted)),
    (from) => (confined ? new Set([...from].filter(holdsInProject)) : from),
    (from) => (ownerRole ? intersection(from, effectivePermissions(ownerRole, null)) : from),
    (from) => (keyScopes ? intersection(from, keyScopes) : from),
  ];
  const reduced = (from: ReadonlySet<Permission>, cuts: readonly Cut[]) => cuts.reduce((rest, cut) => cut(rest), from);
  const everything = rolePermissions('ADMIN');

  test('AZR 2, TOK 7 never exceeds the role, scopes, project, owner or underlying key', () => {
    fc.assert(
      fc.property(parts, (given) => {
        const rights = reduced(everything, cutsOf(given));
        for (const name of permissions) {
          const allowed =
            rolePermissions(given.role).has(name) &&
            (given.scopes?.includes(name) ?? true) &&
            (!given.confined || permissionTable[name].inProject === true) &&
            (given.ownerRole === null || rolePermissions(given.ownerRole).has(name)) &&
            (given.keyScopes?.has(name) ?? true);
          expect([name, rights.has(name)]).toEqual([name, allowed]);
        }
      }),
    );
  });

  test('gives the same result in each order and when repeated', () => {
    fc.assert(
      fc.property(
        parts.chain((given) => fc.tuple(fc.constant(given), fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: 5 }))),
        ([given, order]) => {
          const cuts = cutsOf(given);
          const rights = reduced(everything, cuts);
          const shuffled = order.map((index) => cuts[index] as Cut);
          expect(sorted(reduced(everything, shuffled))).toEqual(sorted(rights));
          expect(sorted(reduced(rights, shuffled))).toEqual(sorted(rights));
          // Applying role and scopes together equals applying them one after the other.
          const together = effectivePermissions(given.role, given.scopes);
          expect(sorted(reduced(together, cuts.slice(2)))).toEqual(sorted(rights));
          expect(sorted(effectivePermissions(given.role, sorted(together)))).toEqual(sorted(together));
        },
      ),
    );
  });

  test('TOK 10 never adds a permission, even after many further restrictions', () => {
    fc.assert(
      fc.property(fc.array(parts, { minLength: 1, maxLength: 4 }), (changes) => {
        let rights = everything;
        for (const cut of changes.flatMap(cutsOf)) {
          const rest = cut(rights);
          expect([...rest].filter((name) => !rights.has(name))).toEqual([]);
          rights = rest;
        }
      }),
    );
  });
});
