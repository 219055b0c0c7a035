import { type Role, rolePermissions } from '../../authz/permissions.ts';
import { can, type Principal } from '../../authz/principal.ts';
import { forbidden } from '../../errors.ts';

/** Throws FORBIDDEN when a role has permissions that the principal does not have. */
export function withinRole(principal: Principal, role: Role): void {
  const excess = [...rolePermissions(role)].filter((held) => !can(principal, held));
  if (excess.length > 0)
    throw forbidden(
      excess,
      'You cannot create or change an account with more permissions than your own.',
      'PERMISSIONS_EXCEED_CALLER',
    );
}
