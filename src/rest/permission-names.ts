import { isPermission, permissionConstant, permissions } from '../authz/permissions.ts';
import { badInput } from '../errors.ts';
import type { graphql } from './graphql.ts';

/** A permission as the graph writes it: `READ_AGENTS`. */
type Constant = ReturnType<typeof graphql.scalar<'Permission'>>;

const nameOf = new Map(permissions.map((name) => [permissionConstant(name), name]));

/** Returns permissions as REST clients know them: `read:agents`. */
export const permissionNames = (constants: readonly Constant[]): string[] =>
  constants.map((constant) => nameOf.get(constant) ?? constant);

/** Returns the scopes of a request as the graph writes them. Throws BAD_USER_INPUT for an unknown one. */
export function scopeConstants(names: readonly string[]): Constant[] {
  const unknown = names.filter((name) => !isPermission(name));
  if (unknown.length > 0) throw badInput(['input', 'scopes'], `Unsupported token scope(s): ${unknown.join(', ')}`);
  return names.filter(isPermission).map((name) => permissionConstant(name) as Constant);
}
