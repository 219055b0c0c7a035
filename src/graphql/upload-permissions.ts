import { type GraphQLInputType, getNamedType, isInputObjectType } from 'graphql';
import { isPermission, type Permission } from '../authz/permissions.ts';
import { requirementsOf } from './plugins/permissions.ts';
import { schema } from './schema.ts';

/** Returns whether a value of the type can contain a file. */
function takesFiles(type: GraphQLInputType, seen = new Set<string>()): boolean {
  const named = getNamedType(type);
  if (named.name === 'Upload') return true;
  if (!isInputObjectType(named) || seen.has(named.name)) return false;
  seen.add(named.name);
  return Object.values(named.getFields()).some((field) => takesFiles(field.type, seen));
}

/** The permissions of the mutations that accept files. A caller who has no permission of this list cannot upload. */
export const uploadPermissions: readonly Permission[] = [
  ...new Set(
    Object.values(schema.getMutationType()?.getFields() ?? {})
      .filter(({ args }) => args.some(({ type }) => takesFiles(type)))
      .flatMap((field) => requirementsOf(field))
      .filter(isPermission),
  ),
].sort();
