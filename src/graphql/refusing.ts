import { GraphQLError, GraphQLScalarType } from 'graphql';

/**
 * A scalar that refuses whatever it cannot read, also where its own reading breaks: what a caller sent, such as an object
 * whose `toString` is no function, is the caller's mistake and not the server's.
 */
export function refusing<In, Out>(scalar: GraphQLScalarType<In, Out>): GraphQLScalarType<In, Out> {
  return new GraphQLScalarType({
    ...scalar.toConfig(),
    parseValue(value) {
      try {
        return scalar.parseValue(value);
      } catch (error) {
        throw error instanceof GraphQLError ? error : new GraphQLError(`Not a value of the type ${scalar.name}.`);
      }
    },
  });
}
