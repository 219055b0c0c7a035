import { z } from '@hono/zod-openapi';

/** The model that answers, and its options. */
export const LLMOverride = z
  .object({
    model_provider: z.string().nullish(),
    model_version: z.string().nullish().openapi({
      description: 'The name of a model, alone or behind that of its provider, as in `provider__model`.',
    }),
    temperature: z.number().min(0).max(2).nullish(),
    model_configuration_id: z.int().nullish(),
    display_name: z.string().nullish(),
  })
  .refine(({ model_configuration_id, model_version }) => model_configuration_id == null || model_version, {
    path: ['model_configuration_id'],
    message: 'models are chosen by name: give model_version',
  })
  .openapi('LLMOverride', {
    description:
      '`model_version` and `temperature` have an effect. A `model_configuration_id` is accepted beside a `model_version` only.',
  });

/** Returns the supported fields; an empty name counts as absent. */
export const modelAndTemperature = (override: z.infer<typeof LLMOverride> | null | undefined) => ({
  model: override?.model_version || null,
  temperature: override?.temperature ?? null,
});
