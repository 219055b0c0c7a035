import { GraphQLError, GraphQLScalarType, type ValueNode } from 'graphql';
import { DateTimeResolver } from 'graphql-scalars';

/** Throws for a date that JavaScript has and PostgreSQL, or ISO 8601 with four digits, has not. */
function storable(date: Date, nodes?: ValueNode): Date {
  const year = date.getUTCFullYear();
  if (year >= 1 && year <= 9999) return date;
  throw new GraphQLError('DateTime cannot represent a year outside 1 to 9999.', { nodes: nodes ?? null });
}

const config = DateTimeResolver.toConfig();

/** The usual DateTime, within the years that the database keeps. */
export const StorableDateTime = new GraphQLScalarType<Date, Date>({
  ...config,
  parseValue: (value) => storable(config.parseValue(value)),
  parseLiteral: (node, variables) => storable(config.parseLiteral(node, variables), node),
});
