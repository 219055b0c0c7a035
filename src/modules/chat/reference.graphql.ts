import { signedIn } from '../../authz/principal.ts';
import { builder } from '../../graphql/builder.ts';
import { ChatSession } from './sessions.graphql.ts';

const agentSlug = 'The agent’s slug.';
const threadSlug = 'A session with it that somebody named or made as such: its slug, or its id where it has none.';
const clientSessionId =
  'What a client calls a chat of its own, at most 255 characters; one’s own unnamed chat with the agent unless given. Not beside `threadSlug`.';

export const ChatReferenceInput = builder.inputType('ChatReferenceInput', {
  description: 'A chat by names instead of its id. One’s own are made with their first message.',
  fields: (t) => ({
    agentSlug: t.string({ required: true, description: agentSlug }),
    threadSlug: t.string({ description: threadSlug }),
    clientSessionId: t.string({ description: clientSessionId }),
  }),
});

const StartChatOverPayload = builder.objectRef<{ sessionId: string | null }>('StartChatOverPayload').implement({
  description: 'What `startChatOver` did.',
  fields: (t) => ({
    sessionId: t.expose('sessionId', {
      type: 'UUID',
      nullable: true,
      description: 'The session; null where nothing was said in it yet.',
    }),
  }),
});

builder.queryField('agentChat', (t) =>
  t.prismaField({
    type: ChatSession,
    nullable: true,
    authScopes: { permission: 'read:chat' },
    description:
      'A chat with an agent by names; null for one’s own in which nothing was said yet. NOT_FOUND for an agent that the caller cannot use, and for a thread that they may not read.',
    args: {
      agentSlug: t.arg.string({ required: true, description: agentSlug }),
      threadSlug: t.arg.string({ description: threadSlug }),
      clientSessionId: t.arg.string({ description: clientSessionId }),
    },
    resolve: (query, _root, reference, { principal, services }) =>
      services.chat.findByName(signedIn(principal), reference, query),
  }),
);

builder.mutationField('startChatOver', (t) =>
  t.field({
    type: StartChatOverPayload,
    authScopes: { permission: 'write:chat' },
    description:
      'Starts a chat over: what is said next is the first that the model knows of. What was said stays, on a branch that is not the current one.',
    args: { input: t.arg({ type: ChatReferenceInput, required: true, description: 'The chat.' }) },
    resolve: (_root, { input }, { principal, services }) => services.chat.startOver(signedIn(principal), input),
  }),
);
