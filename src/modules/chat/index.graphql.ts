// Registers the types and fields of this module in the schema.
import './branches.graphql.ts';
import './chat-locator.graphql.ts';
import './context.graphql.ts';
import './export.graphql.ts';
import './feedback.graphql.ts';
import './message-files.graphql.ts';
import './messages.graphql.ts';
import './models.graphql.ts';
import './related-sessions.graphql.ts';
import './seed.graphql.ts';
import './session-changes.graphql.ts';
import './session-relations.graphql.ts';
import './sessions.graphql.ts';
import './sources.graphql.ts';
import './turns.graphql.ts';
