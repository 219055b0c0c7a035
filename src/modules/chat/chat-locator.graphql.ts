import { builder } from '../../graphql/builder.ts';
import { AgentLocatorInput, agentKey } from '../agents/agents.graphql.ts';
import type { ChatReferenceInput as Reference } from './chat-locator.ts';
import { ChatSession, sessionOf } from './sessions.graphql.ts';

export const ChatReferenceInput = builder.inputType('ChatReferenceInput', {
  description:
    'A chat without its ID: a thread of an agent, or the caller’s own chat with the agent, which is created with its first message.',
  fields: (t) => ({
    agent: t.field({ type: AgentLocatorInput, required: true, description: 'The agent, by its ID or by its slug.' }),
    threadSlug: t.string({
      description:
        'A session that was created with `createChatSession`: its slug, or its UUID when it has no slug. Defaults to the caller’s own chat with the agent.',
    }),
    clientSessionId: t.string({
      deprecationReason:
        'For the REST paths of AnythingLLM only; create a session with `createChatSession` and use its ID.',
      description:
        'A name that the client chose for one of the caller’s own chats with the agent, at most 255 characters. Cannot be combined with `threadSlug`.',
    }),
  }),
});

type Given = Omit<Reference, 'agent'> & { agent: Parameters<typeof agentKey>[0] };

/** Converts the input of a chat locator. Throws BAD_USER_INPUT for an ID of another type. */
export const chatReference = ({ agent, ...reference }: Given, path: string[]): Reference => ({
  ...reference,
  agent: agentKey(agent, [...path, 'agent']),
});

const StartChatOverPayload = builder.objectRef<{ sessionId: string | null }>('StartChatOverPayload').implement({
  description: 'Result of the mutation `startChatOver`.',
  fields: (t) => ({
    sessionId: t.expose('sessionId', {
      type: 'UUID',
      nullable: true,
      description: 'The UUID of the session, for callers without `read:chat`; null when the chat has no messages yet.',
    }),
    session: t.field({
      type: ChatSession,
      nullable: true,
      authScopes: { permission: 'read:chat' },
      description: 'The session after the change; null when the chat has no messages yet.',
      resolve: ({ sessionId }, _args, context, info) => sessionOf(sessionId, context, info),
    }),
  }),
});

builder.queryField('agentChat', (t) =>
  t.withAuth({ permission: 'read:chat' }).prismaField({
    type: ChatSession,
    nullable: true,
    description:
      'Returns a chat with an agent without its ID; null for a chat of the caller that has no messages yet. NOT_FOUND for an agent that the caller cannot use and for a thread that the caller cannot read.',
    args: { chat: t.arg({ type: ChatReferenceInput, required: true, description: 'The chat to return.' }) },
    resolve: (query, _root, { chat }, { principal, services }) =>
      services.chat.findByName(principal, chatReference(chat, ['chat']), query),
  }),
);

builder.mutationField('startChatOver', (t) =>
  t.withAuth({ permission: 'write:chat' }).field({
    type: StartChatOverPayload,
    description:
      'Starts a chat over: the model receives no earlier message with the next one. Earlier messages stay on a branch that is not current.',
    args: { input: t.arg({ type: ChatReferenceInput, required: true, description: 'The chat to start over.' }) },
    resolve: (_root, { input }, { principal, services }) =>
      services.chat.startOver(principal, chatReference(input, ['input'])),
  }),
);
