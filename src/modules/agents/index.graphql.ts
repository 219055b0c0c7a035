// Registers the types and fields of this module in the schema.
import './actions.graphql.ts';
import './agent-chats.graphql.ts';
import './agent-documents.graphql.ts';
import './agents.graphql.ts';
import './members.graphql.ts';
