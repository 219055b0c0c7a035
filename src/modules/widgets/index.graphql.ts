// Registers the types and fields of this module in the schema.
import './exchanges.graphql.ts';
import './widgets.graphql.ts';
import './visitors.graphql.ts';
