import SchemaBuilder, { BasePlugin, type PothosOutputFieldConfig, type SchemaTypes } from '@pothos/core';
import {
  type GraphQLArgument,
  type GraphQLInputField,
  type GraphQLInputType,
  getNullableType,
  isInputObjectType,
  isListType,
  isObjectType,
} from 'graphql';

const name = 'nullAsAbsent' as const;

declare global {
  export namespace PothosSchemaTypes {
    interface Plugins<Types extends SchemaTypes> {
      nullAsAbsent: NullAsAbsentPlugin<Types>;
    }
  }
}

/** Returns the values of arguments or input fields without nulls. A default value replaces a null. */
function withoutNulls(
  values: Record<string, unknown>,
  definitions: Iterable<GraphQLArgument | GraphQLInputField>,
): Record<string, unknown> {
  const given: Record<string, unknown> = {};
  for (const { name, type, defaultValue } of definitions) {
    const value = values[name] ?? defaultValue;
    if (value !== undefined && value !== null) given[name] = read(value, type);
  }
  return given;
}

function read(value: unknown, type: GraphQLInputType): unknown {
  const nullable = getNullableType(type);
  if (isListType(nullable) && Array.isArray(value)) return value.map((item) => read(item, nullable.ofType));
  if (!isInputObjectType(nullable) || value === null) return value;
  return withoutNulls(value as Record<string, unknown>, Object.values(nullable.getFields()));
}

/**
 * Treats null and absent values identically in every mutation and subscription. Generated clients send null for each
 * option that their caller did not set, so null must never lift a restriction or drop content. An update clears a field
 * through its `clear` list, and lifts a restriction through a dedicated field such as `neverExpires`.
 */
class NullAsAbsentPlugin<Types extends SchemaTypes> extends BasePlugin<Types> {
  override onOutputFieldConfig(config: PothosOutputFieldConfig<Types>): PothosOutputFieldConfig<Types> {
    if (config.parentType !== 'Mutation' && config.parentType !== 'Subscription') return config;
    return {
      ...config,
      argMappers: [
        (values, _context, { schema }) => {
          const root = schema.getType(config.parentType);
          return isObjectType(root) ? withoutNulls(values, root.getFields()[config.name]?.args ?? []) : values;
        },
        ...config.argMappers,
      ],
    };
  }
}

export default name;

SchemaBuilder.registerPlugin(name, NullAsAbsentPlugin);
