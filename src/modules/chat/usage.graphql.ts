import { builder } from '../../graphql/builder.ts';
import type { TurnUsage as Usage } from './events.ts';
import { ModelProviderType } from './provider.graphql.ts';

export const TurnUsage = builder.objectRef<Usage>('TurnUsage').implement({
  description: 'The usage of a model for one answer.',
  fields: (t) => ({
    inputTokens: t.exposeInt('inputTokens', {
      description: 'The number of input tokens that the provider reported; estimated when it reported no number.',
    }),
    outputTokens: t.exposeInt('outputTokens', {
      description: 'The number of output tokens that the provider reported; estimated when it reported no number.',
    }),
    durationMs: t.exposeInt('durationMs', { description: 'The duration of the turn in milliseconds.' }),
    model: t.exposeString('model', { description: 'The name of the model.' }),
    provider: t.expose('provider', {
      type: ModelProviderType,
      nullable: true,
      description: 'The provider of the model; null when the model is no longer configured.',
    }),
    endedAt: t.expose('endedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'The time at which the turn ended.',
    }),
  }),
});
