import { z } from '@hono/zod-openapi';
import { badInput } from '../../errors.ts';
import { type AnyEndpoint, endpoint } from '../endpoint.ts';
import { graphql } from '../graphql.ts';
import { id, nothing, unsupported } from '../shapes.ts';
import { unknownAgent, unknownSessionMessage } from './chat.ts';
import { int32 } from './chat-shapes.ts';
import { detail } from './errors.ts';
import { LLMOverride, modelAndTemperature } from './llm-override.ts';

const tag = 'Chat';

type Override = 'model' | 'temperature' | 'reasoningEffort';
/** The names of the overrides in the `clear` list of `updateChatSession`. */
const clearNames = { model: 'MODEL', temperature: 'TEMPERATURE', reasoningEffort: 'REASONING_EFFORT' } as const;

/**
 * Returns an update that sets one override of a session. The contract requires the field in the body; null resets it to
 * the default.
 */
const override = <Name extends Override, Value>(sessionId: string, name: Name, value: Value | null) => ({
  input: { session: { id: sessionId }, ...(value === null ? { clear: [clearNames[name]] } : { [name]: value }) },
});

const overrideSession = graphql(
  `mutation OverrideChatSession($input: UpdateChatSessionInput!) { updateChatSession(input: $input) { sessionId } }`,
);

type Effort = 'OFF' | 'LOW' | 'MEDIUM' | 'HIGH';
/** All names of reasoning efforts with their GraphQL values; `auto` leaves it to the model. */
const efforts = new Map<string, Effort | null>([
  ['off', 'OFF'],
  ['none', 'OFF'],
  ['minimal', 'LOW'],
  ['low', 'LOW'],
  ['medium', 'MEDIUM'],
  ['high', 'HIGH'],
  ['auto', null],
]);

/** The contract returns 400 for an unknown value, so it is not part of the request's schema. Throws BAD_USER_INPUT. */
function effortOf(word: string | null): Effort | null {
  if (word === null) return null;
  const effort = efforts.get(word);
  if (effort === undefined)
    throw badInput(['body', 'reasoning_effort_override'], `must be one of ${[...efforts.keys()].join(', ')}, or null`);
  return effort;
}

/** The endpoints for the options of a session and the tokens that they leave. */
export const chatSettingEndpoints: AnyEndpoint[] = [
  endpoint({
    method: 'put',
    path: '/chat/update-chat-session-model',
    tag,
    summary: 'Set the model of a session',
    body: z
      .object({
        chat_session_id: z.uuid(),
        new_alternate_model: z.string().nullable().openapi({
          description:
            'The name of a model, alone or after provider names, as in `provider__model` and `name__provider__model`. A null or empty value removes the model override of the session.',
        }),
      })
      .openapi('UpdateChatSessionThreadRequest'),
    reply: nothing,
    document: overrideSession,
    variables: ({ body }) => override(body.chat_session_id, 'model', body.new_alternate_model || null),
    output: () => null,
    failure: unknownSessionMessage,
  }),
  endpoint({
    method: 'put',
    path: '/chat/update-chat-session-temperature',
    tag,
    summary: 'Set the sampling temperature of a session',
    body: z
      .object({
        chat_session_id: z.uuid(),
        temperature_override: z.number().nullable().openapi({
          description: 'The sampling temperature, 0 to 2. Null removes the temperature override of the session.',
        }),
      })
      .openapi('UpdateChatSessionTemperatureRequest'),
    reply: nothing,
    document: overrideSession,
    variables: ({ body }) => override(body.chat_session_id, 'temperature', body.temperature_override),
    output: () => null,
    failure: (error, input) =>
      error.code === 'BAD_USER_INPUT'
        ? detail(400, 'temperature_override must be from 0 to 2')
        : unknownSessionMessage(error, input),
  }),
  endpoint({
    method: 'put',
    path: '/chat/update-chat-session-reasoning',
    tag,
    summary: 'Set the reasoning effort of a session',
    body: z
      .object({
        chat_session_id: z.uuid(),
        reasoning_effort_override: z.string().nullable().openapi({
          description:
            'How much the model reasons before it answers: `off` or `none`, `minimal` or `low`, `medium`, `high`. `auto` and null remove the override of the session.',
        }),
      })
      .openapi('UpdateChatSessionReasoningRequest'),
    reply: nothing,
    document: overrideSession,
    variables: ({ body }) =>
      override(body.chat_session_id, 'reasoningEffort', effortOf(body.reasoning_effort_override)),
    output: () => null,
    failure: unknownSessionMessage,
  }),
  endpoint({
    method: 'get',
    path: '/chat/available-context-tokens/{session_id}',
    tag,
    summary: 'Estimate the available context tokens of a session',
    params: z.object({ session_id: z.uuid() }),
    query: z.object({
      model_configuration_id: unsupported(
        'is not supported: select a model by name, for a session with update-chat-session-model',
      ),
    }),
    reply: z.object({ available_tokens: z.int() }).openapi('AvailableContextTokensResponse'),
    document: graphql(`query AvailableContextTokens($id: ID!) { availableContextTokens(target: { sessionId: $id }) }`),
    variables: ({ params }) => ({ id: params.session_id }),
    output: ({ availableContextTokens }) => ({ available_tokens: availableContextTokens }),
  }),
  endpoint({
    method: 'get',
    path: '/chat/max-selected-document-tokens',
    tag,
    summary: 'Estimate the available context tokens of a new session with an agent',
    query: z.object({ persona_id: id }),
    reply: z.object({ max_tokens: z.int() }).openapi('MaxSelectedDocumentTokens'),
    document: graphql(`query MaxSelectedDocumentTokens($id: ID!) { availableContextTokens(target: { agentId: $id }) }`),
    variables: ({ query }) => ({ id: String(query.persona_id) }),
    output: ({ availableContextTokens }) => ({ max_tokens: availableContextTokens }),
  }),
  endpoint({
    method: 'post',
    path: '/chat/seed-chat-session',
    tag,
    summary: 'Create a session that a user continues on the chat page',
    body: z
      .object({
        persona_id: int32,
        llm_override: LLMOverride.nullish(),
        prompt_override: z
          .object({ system_prompt: z.string().nullish(), task_prompt: z.string().nullish() })
          .openapi('PromptOverride')
          .nullish()
          .openapi({
            description:
              'The prompts that replace those of the agent in this session only; at most 20,000 characters each.',
          }),
        description: z.string().nullish().openapi({ description: 'The name of the session.' }),
        message: z
          .string()
          .nullish()
          .openapi({ description: 'A question to store without an answer; at most 200,000 characters.' }),
      })
      .openapi('ChatSeedRequest'),
    reply: z.object({ redirect_url: z.string() }).openapi('ChatSeedResponse'),
    document: graphql(
      `mutation SeedChatSession($input: SeedChatSessionInput!) { seedChatSession(input: $input) { url } }`,
    ),
    variables: ({ body }) => ({
      input: {
        agentId: String(body.persona_id),
        name: body.description,
        message: body.message,
        ...modelAndTemperature(body.llm_override),
        systemPrompt: body.prompt_override?.system_prompt,
        taskPrompt: body.prompt_override?.task_prompt,
      },
    }),
    output: ({ seedChatSession }) => ({ redirect_url: seedChatSession.url }),
    failure: unknownAgent,
  }),
];
