import SchemaBuilder, { BasePlugin, type PothosOutputFieldConfig, type SchemaTypes } from '@pothos/core';
import {
  type GraphQLField,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isInterfaceType,
  isLeafType,
  isListType,
  isObjectType,
} from 'graphql';
import { pageSizeOf } from '../../paging.ts';

const name = 'listSize' as const;

/** Expected number of items in a list: fixed, or computed from the coerced arguments of the field that declares it. */
// biome-ignore lint/suspicious/noExplicitAny: the arguments have the shape of the field that states the size.
export type ListSize = number | ((args: any) => number);

declare global {
  export namespace PothosSchemaTypes {
    interface Plugins<Types extends SchemaTypes> {
      listSize: ListSizePlugin<Types>;
    }
    interface FieldOptions<
      Types extends SchemaTypes,
      ParentShape,
      Type extends import('@pothos/core').TypeParam<Types>,
      Nullable extends import('@pothos/core').FieldNullability<Type>,
      Args extends import('@pothos/core').InputFieldMap,
      ResolveShape,
      ResolveReturnShape,
    > {
      /** The number of items that the cost estimate assumes for this list. Required for lists without pagination. */
      listSize?: ListSize;
      /**
       * The numbers of items to assume for lists of the object that this field returns, when the arguments of this
       * field determine their length.
       */
      sizedFields?: Record<string, ListSize>;
    }
  }
}

/** Adds the declared list sizes to the schema, where `costOf` reads them. */
class ListSizePlugin<Types extends SchemaTypes> extends BasePlugin<Types> {
  override onOutputFieldConfig(config: PothosOutputFieldConfig<Types>): PothosOutputFieldConfig<Types> {
    const { listSize, sizedFields } = config.pothosOptions as Sizes;
    if (listSize === undefined && sizedFields === undefined) return config;
    return { ...config, extensions: { ...config.extensions, listSize, sizedFields } };
  }
}

interface Sizes {
  listSize?: ListSize;
  sizedFields?: Record<string, ListSize>;
}

type Field = GraphQLField<unknown, unknown>;

export const sizesOf = (field: Field): Sizes => field.extensions as Sizes;

const pageArguments = new Set(['first', 'last']);

/** Returns whether a field takes pagination arguments. */
export const isPaged = (field: Field): boolean => field.args.some((argument) => pageArguments.has(argument.name));

/** Returns the page size that a field's arguments request. */
export const pageSize: ListSize = pageSizeOf;

/** The fields of a connection that contain one entry for each item of its page. */
export const pageFields = ['edges', 'nodes'];

/** The parts of a connection that have no cost. The node of an edge does have a cost. */
export const freeFields = new Set(['edges', 'pageInfo']);

/**
 * Returns the lists of objects whose size is not declared: they have no pagination argument and no `listSize`, and at
 * least one field that returns their type has no `sizedFields` entry for them. `costOf` cannot estimate their cost.
 */
export function unsizedLists(schema: GraphQLSchema): string[] {
  const types = Object.values(schema.getTypeMap()).filter(
    (type) => (isObjectType(type) || isInterfaceType(type)) && !type.name.startsWith('__'),
  );
  const fields = types.flatMap((type) =>
    isObjectType(type) || isInterfaceType(type)
      ? Object.values(type.getFields()).map((field) => ({ type, field: field as Field }))
      : [],
  );
  const returning = new Map<string, Field[]>();
  for (const { field } of fields) {
    const { name } = getNamedType(field.type);
    returning.set(name, returning.get(name) ?? []);
    returning.get(name)?.push(field);
  }
  const statedElsewhere = (typeName: string, list: string): boolean =>
    returning
      .get(typeName)
      ?.every((field) => sizesOf(field).sizedFields?.[list] || (isPaged(field) && pageFields.includes(list))) ?? false;
  return fields
    .filter(({ field }) => isListType(getNullableType(field.type)) && !isLeafType(getNamedType(field.type)))
    .filter(({ field }) => sizesOf(field).listSize === undefined && !isPaged(field))
    .filter(({ type, field }) => !statedElsewhere(type.name, field.name))
    .map(({ type, field }) => `${type.name}.${field.name}`);
}

export default name;

SchemaBuilder.registerPlugin(name, ListSizePlugin);
