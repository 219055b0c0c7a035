import { builder } from '../../graphql/builder.ts';
import type { TurnUsage as Usage } from './events.ts';

export const TurnUsage = builder.objectRef<Usage>('TurnUsage').implement({
  description: 'What a model did for an answer.',
  fields: (t) => ({
    inputTokens: t.exposeInt('inputTokens', {
      description: 'Tokens that it read, as its provider says; estimated where it does not.',
    }),
    outputTokens: t.exposeInt('outputTokens', { description: 'Tokens that it wrote, likewise.' }),
    durationMs: t.exposeInt('durationMs', { description: 'How long the turn took, in milliseconds.' }),
    model: t.exposeString('model', { description: 'The model.' }),
    provider: t.exposeString('provider', {
      nullable: true,
      description: 'Its provider, `embedded` or `openai-compatible`; null when the server no longer has the model.',
    }),
    endedAt: t.expose('endedAt', { type: 'DateTime', nullable: true, description: 'When the turn was over.' }),
  }),
});
