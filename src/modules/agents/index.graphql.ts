// Registers the types and fields of this module in the schema.
import './actions.graphql.ts';
import './agent-relations.graphql.ts';
import './agents.graphql.ts';
import './invite-code-agents.graphql.ts';
import './labels.graphql.ts';
import './members.graphql.ts';
