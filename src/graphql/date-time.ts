import { GraphQLError, GraphQLScalarType, type ValueNode } from 'graphql';
import { DateTimeResolver } from 'graphql-scalars';

/** Throws for a date that JavaScript supports and PostgreSQL, or ISO 8601 with a four-digit year, does not. */
function storable(date: Date, nodes?: ValueNode): Date {
  const year = date.getUTCFullYear();
  if (year >= 1 && year <= 9999) return date;
  throw new GraphQLError('DateTime cannot represent a year outside 1 to 9999.', { nodes: nodes ?? null });
}

const config = DateTimeResolver.toConfig();

/** The DateTime scalar, limited to the years that the database supports. */
export const StorableDateTime = new GraphQLScalarType<Date, Date>({
  ...config,
  parseValue: (value) => storable(config.parseValue(value)),
  parseLiteral: (node, variables) => storable(config.parseLiteral(node, variables), node),
});
