// Registers the types and fields of this module in the schema.
import './agent-documents.graphql.ts';
import './folders.graphql.ts';
import './intake.graphql.ts';
import './knowledge.graphql.ts';
import './project-documents.graphql.ts';
import './search.graphql.ts';
