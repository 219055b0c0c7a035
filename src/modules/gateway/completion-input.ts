import { z } from 'zod';
import { plainText } from '../../zod-types.ts';
import { modelOverrides } from '../chat/overrides.ts';
import { Message } from './messages.ts';

const ToolName = z.string().regex(/^[\w-]{1,64}$/, 'must be 1 to 64 letters, digits, underscores and dashes');
const JsonObject = z.record(z.string(), z.unknown());

/** The input for a completion. */
export const CreateChatCompletion = z
  .object({
    model: plainText(300),
    messages: z.array(Message).min(1, 'must not be empty').max(2000),
    tools: z
      .array(
        z.object({
          name: ToolName,
          description: plainText(20_000).nullish(),
          parameters: JsonObject.nullish(),
          strict: z.boolean().nullish(),
        }),
      )
      .max(128)
      .nullish(),
    toolChoice: z.enum(['AUTO', 'NONE', 'REQUIRED']).nullish(),
    /** The tool that must be called. */
    toolName: ToolName.nullish(),
    parallelToolCalls: z.boolean().nullish(),
    temperature: modelOverrides.temperature,
    topP: z.number().min(0).max(1).nullish(),
    maxTokens: z.number().int().min(1, 'must be at least 1').nullish(),
    stop: z.array(plainText(500).min(1)).max(16).nullish(),
    presencePenalty: z.number().min(-2).max(2).nullish(),
    frequencyPenalty: z.number().min(-2).max(2).nullish(),
    seed: z.number().int().nullish(),
    reasoningEffort: modelOverrides.reasoningEffort,
    responseFormat: z
      .object({
        type: z.enum(['TEXT', 'JSON_OBJECT', 'JSON_SCHEMA']),
        name: ToolName.nullish(),
        description: plainText(20_000).nullish(),
        schema: JsonObject.nullish(),
        strict: z.boolean().nullish(),
      })
      .nullish(),
    includeUsage: z.boolean().default(false),
  })
  .refine(({ toolName, tools }) => toolName == null || tools?.some(({ name }) => name === toolName), {
    message: 'must be the name of one of the tools',
    path: ['toolName'],
  })
  .refine(({ toolChoice, tools }) => toolChoice !== 'REQUIRED' || (tools?.length ?? 0) > 0, {
    message: 'cannot be required without `tools`',
    path: ['toolChoice'],
  });

export type CreateChatCompletionInput = z.input<typeof CreateChatCompletion>;
/** A request for a completion whose fields are valid. */
export type CompletionRequest = z.output<typeof CreateChatCompletion>;
