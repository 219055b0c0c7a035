import { z } from '@hono/zod-openapi';

/** Which model answers, and how. */
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
  .openapi('LLMOverride', { description: 'Of these, `model_version` and `temperature` have an effect.' });

/** What of it the graph knows; an empty name is none. */
export const modelAndTemperature = (override: z.infer<typeof LLMOverride> | null | undefined) => ({
  model: override?.model_version || null,
  temperature: override?.temperature ?? null,
});
