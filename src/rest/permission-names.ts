import { isPermission, permissionConstant, permissions } from '../authz/permissions.ts';
import { badInput } from '../errors.ts';
import type { graphql } from './graphql.ts';

/** A permission in the spelling of the GraphQL schema: `READ_AGENTS`. */
type Constant = ReturnType<typeof graphql.scalar<'Permission'>>;

const nameOf = new Map(permissions.map((name) => [permissionConstant(name), name]));

/** Converts permissions to the spelling of the REST API: `read:agents`. */
export const permissionNames = (constants: readonly Constant[]): string[] =>
  constants.map((constant) => nameOf.get(constant) ?? constant);

/**
 * Converts the scopes of a request to the spelling of the GraphQL schema. Throws BAD_USER_INPUT for an unknown scope.
 */
export function scopeConstants(names: readonly string[]): Constant[] {
  const unknown = names.filter((name) => !isPermission(name));
  if (unknown.length > 0)
    throw badInput(['body', 'scopes'], `Unsupported token scope(s): ${unknown.slice(0, 10).join(', ').slice(0, 500)}`);
  return names.filter(isPermission).map((name) => permissionConstant(name) as Constant);
}
