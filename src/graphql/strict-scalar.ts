import { GraphQLError, GraphQLScalarType } from 'graphql';

/**
 * Returns a scalar that rejects every value it cannot parse, including values that break its own parsing, such as an
 * object whose `toString` is not a function. Such a value is an error of the caller.
 */
export function refusing<In, Out>(scalar: GraphQLScalarType<In, Out>): GraphQLScalarType<In, Out> {
  return new GraphQLScalarType({
    ...scalar.toConfig(),
    parseValue(value) {
      try {
        return scalar.parseValue(value);
      } catch (error) {
        throw error instanceof GraphQLError ? error : new GraphQLError(`The value is not of the type ${scalar.name}.`);
      }
    },
  });
}
