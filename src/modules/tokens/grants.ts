import {
  effectivePermissions,
  holdsInProject,
  isPermission,
  type Permission,
  type Role,
  rolePermissions,
} from '../../authz/permissions.ts';
import { can, type Principal } from '../../authz/principal.ts';
import { badInput, denied, forbidden } from '../../errors.ts';

/** A validated grant of a token, which does not exceed its creator's permissions. */
export interface Grant {
  role: Role;
  allScopes: boolean;
  scopes: string[];
  /** The project that it is restricted to. */
  projectId: number | null;
}

/** Returns the permissions of a grant. */
export function permissionsOf({ role, allScopes, scopes, projectId }: Grant): Permission[] {
  const held = [...effectivePermissions(role, allScopes ? null : scopes)];
  return projectId === null ? held : held.filter(holdsInProject);
}

/** Throws FORBIDDEN when a grant exceeds the principal's permissions. */
export function within(principal: Principal, grant: Grant): Grant {
  if (grant.allScopes && principal.credential.scopes !== null)
    throw denied(
      'SCOPES_REQUIRED',
      'A token with scopes cannot create or change a token without scopes. Specify `scopes`.',
    );
  const excess = permissionsOf(grant).filter((held) => !can(principal, held));
  if (excess.length > 0)
    throw forbidden(
      excess,
      'A token cannot have permissions that the caller’s token lacks.',
      'PERMISSIONS_EXCEED_CALLER',
    );
  return grant;
}

/**
 * Parses a role and scopes. Throws BAD_USER_INPUT for an empty list, an unknown scope, a scope that the role does not
 * have, and one that does not apply within a project.
 */
export function grantOf(role: Role, wanted: readonly string[] | null | undefined, projectId: number | null): Grant {
  if (projectId !== null && role === 'ADMIN')
    throw badInput(['input', 'role'], 'must be BASIC or LIMITED for a project token');
  if (wanted == null) return { role, allScopes: true, scopes: [], projectId };
  const path = ['input', 'scopes'];
  if (wanted.length === 0) throw badInput(path, 'A scoped token must include at least one scope.');
  const unknown = wanted.filter((scope) => !isPermission(scope));
  if (unknown.length > 0) throw badInput(path, `Unsupported token scope(s): ${unknown.join(', ')}`);
  const scopes = [...new Set(wanted.filter(isPermission))];
  const beyond = scopes.filter((scope) => !rolePermissions(role).has(scope));
  if (beyond.length > 0) throw badInput(path, `The role ${role} does not include: ${beyond.join(', ')}`);
  const outside = projectId === null ? [] : scopes.filter((scope) => !holdsInProject(scope));
  if (outside.length > 0) throw badInput(path, `Not available to a project token: ${outside.join(', ')}`);
  return { role, allScopes: false, scopes, projectId };
}

/** Returns the scopes that remain after a change of role, or null for a grant without scopes. */
export function narrowed(held: Grant, role: Role): string[] | null {
  if (held.allScopes) return null;
  const allowed = rolePermissions(role);
  const kept = held.scopes.filter((scope) => isPermission(scope) && allowed.has(scope));
  if (kept.length === 0)
    throw badInput(
      ['input', 'role'],
      `must include at least one of the key’s scopes: the role ${role} includes no such scope`,
    );
  return kept;
}
