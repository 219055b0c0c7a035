import SchemaBuilder, { BasePlugin, type PothosOutputFieldConfig, type SchemaTypes } from '@pothos/core';
import { encodeGlobalID } from '@pothos/plugin-relay';
import { defaultFieldResolver, type GraphQLFieldResolver } from 'graphql';
import type { DirectRead } from '../execution/plan.ts';

const name = 'directRead' as const;

declare global {
  export namespace PothosSchemaTypes {
    interface Plugins<Types extends SchemaTypes> {
      directRead: DirectReadPlugin<Types>;
    }
  }
}

type Resolver<Types extends SchemaTypes> = GraphQLFieldResolver<unknown, Types['Context'], object>;

interface Extensions {
  pothosExposedField?: string;
  directRead?: DirectRead;
}

/** Returns how the executor reads a field without its resolver, or undefined. */
export const directReadOf = ({ extensions }: { extensions?: object | null | undefined }): DirectRead | undefined =>
  (extensions as Extensions | undefined)?.directRead;

/** Sets how the executor reads a field. Called while the field is built, before its extensions are copied. */
export function setDirectRead(config: { extensions?: object | null | undefined }, directRead: DirectRead): void {
  config.extensions = { ...config.extensions, directRead };
}

/**
 * Marks the fields that return a stored property, so that the executor reads them without a resolver: exposed fields
 * that no other plugin wraps, and the global IDs of nodes, whose resolver costs several promises per object.
 */
class DirectReadPlugin<Types extends SchemaTypes> extends BasePlugin<Types> {
  override wrapResolve(resolve: Resolver<Types>, config: PothosOutputFieldConfig<Types>): Resolver<Types> {
    const isWrapped = resolve !== (config.resolve ?? defaultFieldResolver);
    if (isWrapped) return resolve;
    const { pothosExposedField: exposed } = (config.extensions ?? {}) as Extensions;
    if (exposed !== undefined) setDirectRead(config, { property: exposed });
    else if (config.name === 'id' && this.isStoredNode(config.parentType)) {
      const { parentType } = config;
      setDirectRead(config, { property: 'id', convert: (id) => encodeGlobalID(parentType, String(id)) });
    }
    return resolve;
  }

  /** Returns whether the objects of a type are rows of the database whose global ID contains the column `id`. */
  private isStoredNode(typeName: string): boolean {
    const { kind, extensions = {} } = this.builder.configStore.getTypeConfig(typeName) as {
      kind: string;
      extensions?: Record<string, unknown>;
    };
    return kind === 'Object' && 'pothosPrismaModel' in extensions && 'pothosParseGlobalID' in extensions;
  }
}

export default name;

SchemaBuilder.registerPlugin(name, DirectReadPlugin);
