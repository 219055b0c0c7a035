// Registers the types and fields of this module in the schema.
import './accounts.graphql.ts';
import './audit-actor.graphql.ts';
import './invitations.graphql.ts';
import './invite-codes.graphql.ts';
import './permissions.graphql.ts';
import './sessions.graphql.ts';
import './single-user.graphql.ts';
import './users.graphql.ts';
import './viewer.graphql.ts';
