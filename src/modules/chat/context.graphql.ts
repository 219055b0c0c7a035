import { builder } from '../../graphql/builder.ts';
import { integerId, uuidId } from '../../graphql/id-input.ts';

const ContextTokensTarget = builder.inputType('ContextTokensTarget', {
  isOneOf: true,
  description: 'The turn whose available context tokens are computed. Exactly one field is given.',
  fields: (t) => ({
    sessionId: t.id({ description: 'A turn of this session, by global ID or UUID.' }),
    agentId: t.id({
      description: 'A turn of a new session with this agent, by global ID or integer `databaseId`.',
    }),
  }),
});

builder.queryField('availableContextTokens', (t) =>
  t.withAuth({ permission: 'write:chat' }).field({
    type: 'Int',
    description:
      'The estimated number of tokens in the context window of the model that remain for files, passages, history and the question, after the instructions of agent, project and session. Does not depend on earlier messages. NOT_FOUND for a session or agent that the caller cannot use.',
    args: {
      target: t.arg({
        type: ContextTokensTarget,
        required: true,
        description: 'The session, or the agent of a new one.',
      }),
    },
    resolve: (_root, { target: { sessionId, agentId } }, { principal, services }) =>
      services.context.available(principal, {
        sessionId: sessionId == null ? null : uuidId(sessionId, 'ChatSession', ['target', 'sessionId']),
        agentId: agentId == null ? null : integerId(agentId, 'Agent', ['target', 'agentId']),
      }),
  }),
);
