import SchemaBuilder, { BasePlugin, type PothosOutputFieldConfig, type SchemaTypes } from '@pothos/core';
import { isPermission, type Permission } from '../../authz/permissions.ts';
import type { Viewer } from '../../authz/principal.ts';
import type { Context } from '../../context.ts';

const name = 'permissions' as const;

/** One requirement of a field: a permission, any valid credential, or no credential. */
export type Requirement = Permission | 'signedIn' | 'public';

/**
 * Creates the authorization rule of a field that requires a permission unless the object is exempt for the caller.
 * `exception` completes the description: "Requires `manage:users`, except for the user themselves." The field has no
 * `@requiresScopes`, because a gateway cannot determine which objects are exempt.
 */
export function permissionUnless<Parent>(
  permission: Permission,
  exempt: (parent: Parent, viewer: Viewer) => boolean,
  exception: string,
) {
  const scopes = (parent: Parent, _args: object, { principal }: Context) => exempt(parent, principal) || { permission };
  return Object.assign(scopes, { permission, exception });
}

/** Returns all requirements of a field; empty for a field without an authorization rule. */
export const requirementsOf = (field: { extensions: object }): readonly Requirement[] =>
  (field.extensions as { requirements?: readonly Requirement[] }).requirements ?? [];

declare global {
  export namespace PothosSchemaTypes {
    interface Plugins<Types extends SchemaTypes> {
      permissions: PermissionsPlugin<Types>;
    }
    interface QueryFieldOptions<
      Types extends SchemaTypes,
      Type extends import('@pothos/core').TypeParam<Types>,
      Nullable extends import('@pothos/core').FieldNullability<Type>,
      Args extends import('@pothos/core').InputFieldMap,
      ResolveReturnShape,
    > {
      /** Allows calls without a credential. Every other root field declares `authScopes`. */
      public?: true;
      /** Set for a public field that returns a value for every caller and is therefore not nullable. */
      neverFails?: true;
    }
    interface MutationFieldOptions<
      Types extends SchemaTypes,
      Type extends import('@pothos/core').TypeParam<Types>,
      Nullable extends import('@pothos/core').FieldNullability<Type>,
      Args extends import('@pothos/core').InputFieldMap,
      ResolveReturnShape,
    > {
      /** Allows calls without a credential. Every other root field declares `authScopes`. */
      public?: true;
      /** Set for a public field that returns a value for every caller and is therefore not nullable. */
      neverFails?: true;
    }
    interface SubscriptionFieldOptions<
      Types extends SchemaTypes,
      Type extends import('@pothos/core').TypeParam<Types>,
      Nullable extends import('@pothos/core').FieldNullability<Type>,
      Args extends import('@pothos/core').InputFieldMap,
      ResolveShape,
      ResolveReturnShape,
    > {
      /** Allows calls without a credential. Every other root field declares `authScopes`. */
      public?: true;
      /** Set for a public field that returns a value for every caller and is therefore not nullable. */
      neverFails?: true;
    }
  }
}

const rootTypes = ['Query', 'Mutation', 'Subscription'];

const sentence = (requirements: readonly Requirement[], exception?: string): string => {
  const names = requirements.filter(isPermission).map((name) => `\`${name}\``);
  if (names.length > 0) return `Requires ${names.join(' and ')}${exception ? `, ${exception}` : ''}.`;
  return requirements.includes('public') ? 'Requires no credential.' : 'Requires any valid credential.';
};

/**
 * Denies by default: building the schema fails when a root field declares no permission. The requirements of a field
 * are derived from the enforced `authScopes` and written into its description, its `@requiresScopes` directive and its
 * extensions. Query and Mutation fields that can be denied or fail are nullable, so that one failing field does not
 * discard the results of the others.
 */
class PermissionsPlugin<Types extends SchemaTypes> extends BasePlugin<Types> {
  override onOutputFieldConfig(config: PothosOutputFieldConfig<Types>): PothosOutputFieldConfig<Types> {
    const options = config.pothosOptions as { authScopes?: unknown; public?: true; neverFails?: true };
    const root = rootTypes.includes(config.parentType);
    if (!root && !options.authScopes) return config;
    const name = `${config.parentType}.${config.name}`;
    const requirements: readonly Requirement[] = options.public ? ['public'] : read(options.authScopes, name);
    const { exception } = (options.authScopes ?? {}) as { exception?: string };
    const scopes = exception ? [] : requirements.filter(isPermission);
    const nullable = root && config.parentType !== 'Subscription' && !options.neverFails;
    return {
      ...config,
      ...(nullable && { type: { ...config.type, nullable: true } }),
      description: `${config.description ?? ''} ${sentence(requirements, exception)}`.trim(),
      extensions: {
        ...config.extensions,
        requirements,
        ...(scopes.length > 0 && { directives: { requiresScopes: { scopes: [scopes] } } }),
      },
    };
  }
}

/**
 * Returns the requirements in the `authScopes` of a field. Throws an error, which fails the build of the schema, for a
 * rule other than static permissions, `permissionUnless` or `signedIn`.
 */
function read(scopes: unknown, field: string): readonly Requirement[] {
  if (typeof scopes === 'function' && 'exception' in scopes && 'permission' in scopes)
    return [scopes.permission as Permission];
  if (typeof scopes === 'object' && scopes !== null) {
    const { permission, permissions, signedIn, ...rest } = scopes as Record<string, unknown>;
    const named = [permission, ...(Array.isArray(permissions) ? permissions : [permissions])].filter(
      (name) => name !== undefined,
    );
    if (Object.keys(rest).length === 0 && named.every((name) => isPermission(String(name)))) {
      if (named.length > 0 && signedIn === undefined) return named as Permission[];
      if (named.length === 0 && signedIn === true) return ['signedIn'];
    }
  }
  throw new Error(`${field} must name its permissions in authScopes, or be public`);
}

export default name;

SchemaBuilder.registerPlugin(name, PermissionsPlugin);
