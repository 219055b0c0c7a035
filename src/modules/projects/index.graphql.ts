// Registers the types and fields of this module in the schema.
import './project-changes.graphql.ts';
import './projects.graphql.ts';
import './token-project.graphql.ts';
