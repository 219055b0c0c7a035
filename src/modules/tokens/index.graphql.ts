// Registers the types and fields of this module in the schema.
import './api-keys.graphql.ts';
import './audit-credentials.graphql.ts';
import './introspection.graphql.ts';
import './personal-tokens.graphql.ts';
import './project-tokens.graphql.ts';
import './user-credentials.graphql.ts';
