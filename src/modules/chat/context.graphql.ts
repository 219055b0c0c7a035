import { signedIn } from '../../authz/principal.ts';
import { builder } from '../../graphql/builder.ts';

builder.queryField('availableContextTokens', (t) =>
  t.field({
    type: 'Int',
    authScopes: { permission: 'write:chat' },
    description:
      'How many tokens of the model’s window are left for files, passages, history and question, behind the instructions of agent, project and session. An estimate, and the same whatever was said. Exactly one of the arguments is to be given. NOT_FOUND for what the caller may not use.',
    args: {
      sessionId: t.arg({ type: 'UUID', description: 'Of a turn of this session.' }),
      agentId: t.arg.int({ description: 'Of a turn of a new session with this agent, by its integer id.' }),
    },
    resolve: (_root, subject, { principal, services }) => services.context.available(signedIn(principal), subject),
  }),
);
