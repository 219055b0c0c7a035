import type { JSONSchema7 } from 'ai';
import type { ChatModel } from '../../ai/providers.ts';
import { badInput } from '../../errors.ts';
import type { Agent } from '../../generated/prisma/client.ts';
import { fits } from '../chat/prompt.ts';
import type { CallSettings } from './client-call.ts';
import type { CompletionRequest } from './completion-input.ts';
import { type Conversation, lengthOfAll } from './messages.ts';

/** Removes fields that are null or undefined. */
const given = (input: object): object => Object.fromEntries(Object.entries(input).filter(([, value]) => value != null));

/** Returns the model options of a request. The built-in model does not call tools and does not receive any. */
export function callSettings(request: CompletionRequest, { provider }: ChatModel): CallSettings {
  const { maxTokens, topP, presencePenalty, frequencyPenalty, seed, stop, toolName, toolChoice } = request;
  const tools = provider === 'embedded' ? null : request.tools;
  const choice = toolName == null ? toolChoice : null;
  const { parallelToolCalls, responseFormat } = request;
  const { type, ...schema } = responseFormat ?? { type: 'TEXT' };
  const json = type === 'JSON_SCHEMA' ? { type: 'json_schema', json_schema: given(schema) } : { type: 'json_object' };
  const raw = {
    ...(tools?.length && parallelToolCalls != null && { parallel_tool_calls: parallelToolCalls }),
    ...(type !== 'TEXT' && { response_format: json }),
  };
  return {
    ...(maxTokens != null && { maxOutputTokens: maxTokens }),
    ...(topP != null && { topP }),
    ...(presencePenalty != null && { presencePenalty }),
    ...(frequencyPenalty != null && { frequencyPenalty }),
    ...(seed != null && { seed }),
    ...(stop?.length && { stopSequences: stop }),
    ...(tools?.length && {
      tools: tools.map(({ name, description, parameters, strict }) => ({
        type: 'function' as const,
        name,
        inputSchema: (parameters ?? { type: 'object', properties: {} }) as JSONSchema7,
        ...(description != null && { description }),
        ...(strict != null && { strict }),
      })),
      ...(toolName != null && { toolChoice: { type: 'tool' as const, toolName } }),
      ...(choice != null && { toolChoice: { type: choice.toLowerCase() as 'auto' | 'none' | 'required' } }),
    }),
    // Copied unchanged into the provider's request.
    providerOptions: { openaiCompatible: JSON.parse(JSON.stringify(raw)) },
  };
}

/**
 * Estimates the tokens that the model reads in addition to the packed prompt: messages after the question, tools and
 * schemas.
 */
export function tokensBeside({ since }: Conversation, { tools, providerOptions }: CallSettings): number {
  const written = [tools, providerOptions?.openaiCompatible?.response_format].map((part) => JSON.stringify(part) ?? '');
  return Math.ceil((lengthOfAll(since) + written.join('').length) / 4);
}

/**
 * Throws BAD_USER_INPUT when the question exceeds the context window. `beside` is the number of tokens reserved for
 * other content.
 */
export function checkLength(
  agent: Agent,
  { provider, contextWindow }: ChatModel,
  question: string,
  beside: number,
): void {
  if (provider === 'embedded') return;
  const parts = { agent, projectInstructions: null, question, additionalContext: null, history: [], hits: null };
  if (!fits({ ...parts, contextWindow: contextWindow - beside }))
    throw badInput(
      ['input', 'messages'],
      `exceed, together with the tools, the model’s context window of ${contextWindow} tokens`,
    );
}

const withoutModel = 'is not supported: this server has only the built-in model, which quotes documents';

/** Throws BAD_USER_INPUT for an option that the built-in model does not support. */
export function checkOptions(
  { responseFormat, toolName, toolChoice }: CompletionRequest,
  { provider }: ChatModel,
): void {
  if (provider !== 'embedded') return;
  if (responseFormat != null && responseFormat.type !== 'TEXT')
    throw badInput(['input', 'responseFormat'], withoutModel);
  if (toolName != null || toolChoice === 'REQUIRED')
    throw badInput(['input', toolName == null ? 'toolChoice' : 'toolName'], withoutModel);
}
