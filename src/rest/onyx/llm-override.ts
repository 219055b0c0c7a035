import { z } from '@hono/zod-openapi';
import { ignoring } from '../parameters.ts';

/** The model that answers, and its options. */
export const LLMOverride = z
  .object({
    model_provider: ignoring(z.string().nullish(), '`model_version` chooses the model.'),
    model_version: z.string().nullish().openapi({
      description: 'The name of a model, alone or after the name of its provider, as in `provider__model`.',
    }),
    temperature: z.number().min(0).max(2).nullish(),
    model_configuration_id: z
      .int()
      .nullish()
      .openapi({ description: 'Not supported. Only null is accepted, or any value together with `model_version`.' }),
    display_name: ignoring(z.string().nullish(), 'The server has its own names.'),
  })
  .refine(({ model_configuration_id, model_version }) => model_configuration_id == null || model_version, {
    path: ['model_configuration_id'],
    message: 'is only supported with model_version, the name of a model',
  })
  .openapi('LLMOverride', {
    description:
      'Options of the model that answers. Only `model_version` and `temperature` have an effect. A `model_configuration_id` is accepted only together with a `model_version`.',
  });

/** Returns the supported fields; an empty name counts as absent. */
export const modelAndTemperature = (override: z.infer<typeof LLMOverride> | null | undefined) => ({
  model: override?.model_version || null,
  temperature: override?.temperature ?? null,
});
