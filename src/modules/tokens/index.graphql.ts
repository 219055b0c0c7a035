// Registers the types and fields of this module in the schema.
import './introspection.graphql.ts';
import './api-keys.graphql.ts';
import './personal-tokens.graphql.ts';
import './project-tokens.graphql.ts';
import './user-credentials.graphql.ts';
