import {
  DirectiveLocation,
  GraphQLDirective,
  GraphQLList,
  GraphQLNonNull,
  GraphQLString,
  specifiedDirectives,
} from 'graphql';
import '../modules/agents/actions.graphql.ts';
import '../modules/agents/agent-chats.graphql.ts';
import '../modules/agents/agent-documents.graphql.ts';
import '../modules/agents/agents.graphql.ts';
import '../modules/agents/members.graphql.ts';
import '../modules/audit/audit.graphql.ts';
import '../modules/chat/branches.graphql.ts';
import '../modules/chat/context.graphql.ts';
import '../modules/chat/export.graphql.ts';
import '../modules/chat/feedback.graphql.ts';
import '../modules/chat/messages.graphql.ts';
import '../modules/chat/models.graphql.ts';
import '../modules/chat/chat-locator.graphql.ts';
import '../modules/chat/seed.graphql.ts';
import '../modules/chat/session-changes.graphql.ts';
import '../modules/chat/sessions.graphql.ts';
import '../modules/chat/sources.graphql.ts';
import '../modules/chat/turns.graphql.ts';
import '../modules/widgets/widgets.graphql.ts';
import '../modules/widgets/visitors.graphql.ts';
import '../modules/files/files.graphql.ts';
import '../modules/gateway/completions.graphql.ts';
import '../modules/gateway/embeddings.graphql.ts';
import '../modules/gateway/images.graphql.ts';
import '../modules/gateway/models.graphql.ts';
import '../modules/history/history.graphql.ts';
import '../modules/knowledge/folders.graphql.ts';
import '../modules/knowledge/intake.graphql.ts';
import '../modules/knowledge/knowledge.graphql.ts';
import '../modules/knowledge/search.graphql.ts';
import '../modules/limits/limits.graphql.ts';
import '../modules/projects/projects.graphql.ts';
import '../modules/settings/settings.graphql.ts';
import '../modules/tokens/introspection.graphql.ts';
import '../modules/tokens/tokens.graphql.ts';
import '../modules/tokens/user-credentials.graphql.ts';
import '../modules/users/accounts.graphql.ts';
import '../modules/users/invite-codes.graphql.ts';
import '../modules/users/permissions.graphql.ts';
import '../modules/users/sessions.graphql.ts';
import '../modules/users/single-user.graphql.ts';
import '../modules/users/users.graphql.ts';
import '../modules/users/viewer.graphql.ts';
import { builder } from './builder.ts';
import { describeEnums } from './enum-values.ts';
import { unsizedLists } from './plugins/list-size.ts';

const strings = new GraphQLNonNull(new GraphQLList(new GraphQLNonNull(GraphQLString)));

/** The form that gateways read: any one of the inner lists is sufficient, and all of its names are required. */
const requiresScopes = new GraphQLDirective({
  name: 'requiresScopes',
  description: 'The permissions that a field needs.',
  locations: [DirectiveLocation.FIELD_DEFINITION],
  args: {
    scopes: {
      type: new GraphQLNonNull(new GraphQLList(strings)),
      description: 'The names of permissions, such as `read:agents`.',
    },
  },
});

/** The schema. The imports above register its types and fields. */
export const schema = builder.toSchema({ directives: [...specifiedDirectives, requiresScopes] });

describeEnums(schema);

const unsized = unsizedLists(schema);
if (unsized.length > 0) throw new Error(`${unsized.join(', ')}: a list needs page arguments or a \`listSize\``);
