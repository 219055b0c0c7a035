import SchemaBuilder, { BasePlugin, type PothosOutputFieldConfig, type SchemaTypes } from '@pothos/core';
import type { GraphQLFieldResolver } from 'graphql';
import { concernsCredentials, type Permission } from '../../authz/permissions.ts';
import type { Context } from '../../context.ts';
import { supersededSecret } from '../../errors.ts';

const name = 'currentSecret' as const;

declare global {
  export namespace PothosSchemaTypes {
    interface Plugins<Types extends SchemaTypes> {
      currentSecret: CurrentSecretPlugin<Types>;
    }
    interface MutationFieldOptions<
      Types extends SchemaTypes,
      Type extends import('@pothos/core').TypeParam<Types>,
      Nullable extends import('@pothos/core').FieldNullability<Type>,
      Args extends import('@pothos/core').InputFieldMap,
      ResolveReturnShape,
    > {
      /**
       * Whether the mutation creates, changes or revokes a credential. Defaults to true when the mutation requires a
       * permission that concerns credentials.
       */
      changesCredentials?: boolean;
    }
  }
}

/**
 * Returns whether a field rejects a superseded secret, which a regeneration has replaced and which remains valid during
 * the overlap.
 */
export const changesCredentials = ({ extensions }: { extensions: object }): boolean =>
  (extensions as { changesCredentials?: boolean }).changesCredentials === true;

/**
 * Rejects superseded secrets in the mutations that create, change or revoke credentials. A secret remains valid for
 * some time after its regeneration, so that clients can switch to the new one. A stolen secret must not be usable to
 * obtain access beyond that time.
 */
class CurrentSecretPlugin<Types extends SchemaTypes> extends BasePlugin<Types> {
  override onOutputFieldConfig(config: PothosOutputFieldConfig<Types>): PothosOutputFieldConfig<Types> {
    if (config.parentType !== 'Mutation') return config;
    const { authScopes, changesCredentials } = config.pothosOptions as {
      authScopes?: { permission?: Permission; permissions?: readonly Permission[] };
      changesCredentials?: boolean;
    };
    const required = [authScopes?.permission ?? [], authScopes?.permissions ?? []].flat();
    if (!(changesCredentials ?? required.some(concernsCredentials))) return config;
    return {
      ...config,
      description: `${config.description ?? ''} Rejects a superseded secret.`.trim(),
      extensions: { ...config.extensions, changesCredentials: true },
    };
  }

  override wrapResolve(
    resolve: GraphQLFieldResolver<unknown, Types['Context'], object>,
    config: PothosOutputFieldConfig<Types>,
  ): GraphQLFieldResolver<unknown, Types['Context'], object> {
    if (!changesCredentials({ extensions: config.extensions ?? {} })) return resolve;
    return (parent, args, context, info) => {
      if ((context as Context).principal?.credential.superseded) throw supersededSecret();
      return resolve(parent, args, context, info);
    };
  }
}

export default name;

SchemaBuilder.registerPlugin(name, CurrentSecretPlugin);
