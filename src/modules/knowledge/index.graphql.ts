// Registers the types and fields of this module in the schema.
import './folders.graphql.ts';
import './intake.graphql.ts';
import './knowledge.graphql.ts';
import './search.graphql.ts';
