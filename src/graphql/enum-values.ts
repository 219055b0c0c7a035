import { type GraphQLSchema, isEnumType } from 'graphql';

/** The values of each enum by type name. */
export const enumValues = new Map<string, string[]>();

/** Registers the enums of a schema, whose values the messages list. */
export function describeEnums(schema: GraphQLSchema): void {
  for (const type of Object.values(schema.getTypeMap()))
    if (isEnumType(type))
      enumValues.set(
        type.name,
        type.getValues().map(({ name }) => name),
      );
}
