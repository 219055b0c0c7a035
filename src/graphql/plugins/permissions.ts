import SchemaBuilder, { BasePlugin, type PothosOutputFieldConfig, type SchemaTypes } from '@pothos/core';
import { isPermission, type Permission } from '../../authz/permissions.ts';

const name = 'permissions' as const;

/** What a root field asks of its caller: a permission, any credential at all, or nothing. */
export type Requirement = Permission | 'signedIn' | 'public';

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
      /** Open to strangers. Every other root field names its `authScopes`. */
      public?: true;
    }
    interface MutationFieldOptions<
      Types extends SchemaTypes,
      Type extends import('@pothos/core').TypeParam<Types>,
      Nullable extends import('@pothos/core').FieldNullability<Type>,
      Args extends import('@pothos/core').InputFieldMap,
      ResolveReturnShape,
    > {
      /** Open to strangers. Every other root field names its `authScopes`. */
      public?: true;
    }
    interface SubscriptionFieldOptions<
      Types extends SchemaTypes,
      Type extends import('@pothos/core').TypeParam<Types>,
      Nullable extends import('@pothos/core').FieldNullability<Type>,
      Args extends import('@pothos/core').InputFieldMap,
      ResolveShape,
      ResolveReturnShape,
    > {
      /** Open to strangers. Every other root field names its `authScopes`. */
      public?: true;
    }
  }
}

const rootTypes = ['Query', 'Mutation', 'Subscription'];

const sentence = (requirement: Requirement): string => {
  if (requirement === 'public') return 'Needs no credential.';
  return requirement === 'signedIn' ? 'Needs any valid credential.' : `Needs \`${requirement}\`.`;
};

/**
 * Default deny: the schema does not build when a root field names no permission. What a field needs is written into
 * its description, into `@requiresScopes` and into its extensions, from the very `authScopes` that are enforced.
 */
export class PermissionsPlugin<Types extends SchemaTypes> extends BasePlugin<Types> {
  override onOutputFieldConfig(config: PothosOutputFieldConfig<Types>): PothosOutputFieldConfig<Types> {
    const options = config.pothosOptions as { authScopes?: unknown; public?: true };
    const root = rootTypes.includes(config.parentType);
    if (!root && !options.authScopes) return config;
    const requirement = options.public ? 'public' : read(options.authScopes, `${config.parentType}.${config.name}`);
    return {
      ...config,
      description: `${config.description ?? ''} ${sentence(requirement)}`.trim(),
      extensions: {
        ...config.extensions,
        requirement,
        ...(isPermission(requirement) && { directives: { requiresScopes: { scopes: [[requirement]] } } }),
      },
    };
  }
}

/** Throws, and so fails the build, for anything but one static permission or `signedIn`. */
function read(scopes: unknown, field: string): Requirement {
  if (typeof scopes === 'object' && scopes !== null) {
    const { permission, signedIn, ...rest } = scopes as { permission?: string; signedIn?: boolean };
    if (Object.keys(rest).length === 0) {
      if (permission !== undefined && isPermission(permission) && signedIn === undefined) return permission;
      if (signedIn === true && permission === undefined) return 'signedIn';
    }
  }
  throw new Error(`${field} must name one permission in its authScopes, or be public`);
}

export default name;

SchemaBuilder.registerPlugin(name, PermissionsPlugin);
