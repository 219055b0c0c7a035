import { z } from '@hono/zod-openapi';
import type { AppError } from '../../errors.ts';
import type { Failure } from '../dialect.ts';
import { type AnyEndpoint, endpoint } from '../endpoint.ts';
import { graphql, type ResultOf } from '../graphql.ts';
import { everything, isoDate } from '../shapes.ts';
import { anythingllm, failed } from './dialect.ts';
import { numberFrom } from './shapes.ts';
import { agentIdOf, workspaceIdOf } from './workspace-id.ts';
import { chatModes, fromChatMode, toChatMode } from './workspace-shapes.ts';

const tag = 'AnythingLLM embeds';

/**
 * Parses a limit from 1 to `most`. Larger numbers are lowered to `most`. 0 and an empty text mean no limit; other
 * values are ignored.
 */
const limit = (most: number) =>
  z
    .preprocess((value) => {
      const number = value === null ? Number.NaN : Math.trunc(numberFrom(value));
      return number >= 0 ? Math.min(number, most) : undefined;
    }, z.int().min(0).max(most).optional())
    .openapi({ type: 'integer', description: 'A limit of 1 or more. 0 removes the limit. Null leaves it unchanged.' });
const count = limit(0x7fff_ffff);

/** A boolean. Null leaves the setting unchanged; any value other than true counts as false. */
const flag = z
  .preprocess((value) => (value == null ? undefined : value === true), z.boolean().optional())
  .openapi({ type: 'boolean' });

/**
 * Splits a comma-separated text into a list. A text of only commas becomes a list with an invalid origin, which is
 * rejected. An empty text becomes an empty list; null leaves the origins unchanged.
 */
function separated(value: unknown): unknown {
  if (typeof value !== 'string') return value ?? undefined;
  const named = value.split(',').filter((text) => text.trim() !== '');
  return named.length > 0 || value.trim() === '' ? named : [value];
}

const settings = {
  chat_mode: z
    .preprocess(
      (value) => (value == null ? undefined : (chatModes.find((mode) => mode === value) ?? 'query')),
      z.enum(chatModes).optional(),
    )
    .openapi({ description: 'The chat mode of the widget. An unknown value counts as `query`.' }),
  allowlist_domains: z.preprocess(separated, z.array(z.string()).optional()).openapi({
    description:
      'The origins of the pages that can show the widget, as a list or as comma-separated text; at most 100. An origin without a scheme counts as https. If the list is empty, the setting WIDGET_ORIGINS decides: every page, or only pages of this server.',
    type: ['array', 'string', 'null'],
    items: { type: 'string' },
  }),
  allow_model_override: flag,
  allow_temperature_override: flag,
  allow_prompt_override: flag,
  max_chats_per_day: count,
  max_chats_per_session: count,
  message_limit: limit(1000),
};

const NewEmbed = z
  .object({
    workspace_slug: z.string().min(1).openapi({ description: 'The slug of the workspace that the widget opens.' }),
    ...settings,
  })
  .openapi('AnythingLLMNewEmbed');

const EmbedChange = z
  .object({
    enabled: flag,
    workspace_id: z
      .preprocess(
        (value) => (value == null ? undefined : Math.trunc(numberFrom(value))),
        z.int().min(0).max(0x7fff_ffff).optional(),
      )
      .openapi({
        type: 'integer',
        description: 'The integer ID of the workspace that the widget opens. Null leaves it unchanged.',
      }),
    ...settings,
  })
  .openapi('AnythingLLMEmbedChange');

const limits = {
  maxChatsPerDay: ['max_chats_per_day', 'MAX_CHATS_PER_DAY'],
  maxChatsPerSession: ['max_chats_per_session', 'MAX_CHATS_PER_SESSION'],
  messageLimit: ['message_limit', 'MESSAGE_LIMIT'],
} as const;
const limitFields = Object.keys(limits) as (keyof typeof limits)[];

/** Returns the limits that a body sets to 0, which removes them. */
const lifted = (body: Partial<z.infer<typeof EmbedChange>>) =>
  limitFields.filter((field) => body[limits[field][0]] === 0).map((field) => limits[field][1]);

/** Maps the settings in a body to the field names of the GraphQL schema. */
const changes = (body: Partial<z.infer<typeof EmbedChange>>) => ({
  ...(body.enabled !== undefined && { enabled: body.enabled }),
  ...(body.workspace_id !== undefined && { agent: { id: String(agentIdOf(body.workspace_id)) } }),
  ...(body.chat_mode !== undefined && { chatMode: toChatMode(body.chat_mode) }),
  ...(body.allowlist_domains !== undefined && { allowedOrigins: body.allowlist_domains }),
  ...(body.allow_model_override !== undefined && { allowModel: body.allow_model_override }),
  ...(body.allow_temperature_override !== undefined && { allowTemperature: body.allow_temperature_override }),
  ...(body.allow_prompt_override !== undefined && { allowPrompt: body.allow_prompt_override }),
  // A value of 0 is handled by `lifted`.
  ...(body.max_chats_per_day && { maxChatsPerDay: body.max_chats_per_day }),
  ...(body.max_chats_per_session && { maxChatsPerSession: body.max_chats_per_session }),
  ...(body.message_limit && { messageLimit: body.message_limit }),
});

const EmbedFields = graphql(`
  fragment AnythingLLMEmbed on Embed @_unmask {
    databaseId uuid enabled chatMode allowedOrigins allowModel allowTemperature allowPrompt maxChatsPerDay
    maxChatsPerSession messageLimit agentDatabaseId createdBy { number } createdAt
  }
`);

const EmbedRow = z
  .object({
    id: z.int(),
    uuid: z.uuid(),
    enabled: z.boolean(),
    chat_mode: z.enum(chatModes),
    allowlist_domains: z
      .string()
      .nullable()
      .openapi({ description: 'The origins as a JSON list; null when the widget has no origins.' }),
    allow_model_override: z.boolean(),
    allow_temperature_override: z.boolean(),
    allow_prompt_override: z.boolean(),
    max_chats_per_day: z.int().nullable(),
    max_chats_per_session: z.int().nullable(),
    message_limit: z.int().nullable(),
    workspace_id: z.int(),
    createdBy: z.int().nullable(),
    usersId: z.null(),
    createdAt: isoDate,
  })
  .openapi('AnythingLLMEmbed');

const embedRow = (embed: ResultOf<typeof EmbedFields>): z.input<typeof EmbedRow> => ({
  id: embed.databaseId,
  uuid: embed.uuid,
  enabled: embed.enabled,
  chat_mode: fromChatMode(embed.chatMode),
  allowlist_domains: embed.allowedOrigins.length > 0 ? JSON.stringify(embed.allowedOrigins) : null,
  allow_model_override: embed.allowModel,
  allow_temperature_override: embed.allowTemperature,
  allow_prompt_override: embed.allowPrompt,
  max_chats_per_day: embed.maxChatsPerDay,
  max_chats_per_session: embed.maxChatsPerSession,
  message_limit: embed.messageLimit,
  workspace_id: workspaceIdOf(embed.agentDatabaseId),
  createdBy: embed.createdBy?.number ?? null,
  usersId: null,
  createdAt: embed.createdAt,
});

const ExchangeFields = graphql(`
  fragment AnythingLLMEmbedChat on EmbedExchange @_unmask {
    databaseId embed { databaseId } clientSessionId question answer askedAt included
  }
`);

const EmbedChats = z
  .object({
    chats: z.array(
      z.object({
        id: z.int(),
        prompt: z.string(),
        response: z.string().openapi({ description: 'A JSON object, as text, with the `text` of the answer.' }),
        session_id: z.string(),
        include: z.boolean(),
        connection_information: z.string().openapi({
          description:
            'A JSON object, as text, that is always empty: the server does not store the addresses or names of visitors.',
        }),
        embed_id: z.int(),
        usersId: z.null(),
        createdAt: isoDate,
      }),
    ),
  })
  .openapi('AnythingLLMEmbedChats');

const chatRow = (chat: ResultOf<typeof ExchangeFields>) => ({
  id: chat.databaseId,
  prompt: chat.question,
  response: JSON.stringify({ text: chat.answer, type: 'chat', sources: [], metrics: {} }),
  session_id: chat.clientSessionId,
  include: chat.included,
  connection_information: '{}',
  embed_id: chat.embed?.databaseId ?? 0,
  usersId: null,
  createdAt: chat.askedAt,
});

/** Returns 404 with the name that these clients use for the object, and 400 for an invalid value. */
function failure({ code, reason, message }: AppError): Failure | null {
  if (code === 'NOT_FOUND')
    return failed(404, reason === 'AGENT_NOT_FOUND' ? 'Workspace not found' : 'Embed not found');
  return code === 'BAD_USER_INPUT' ? failed(400, message) : null;
}

/** The response to an invalid body. */
const invalid = ({ message, details }: AppError): Failure =>
  failed(400, details.fields?.[0]?.path[1] === 'workspace_slug' ? 'Workspace slug is required' : message);

/** Returns a UUID as it is, and for any other text the nil UUID, which no widget has: these paths take only UUIDs. */
const embedId = (text: string): string => (z.uuid().safeParse(text).success ? text : zeros);
const zeros = '00000000-0000-0000-0000-000000000000';

const byUuid = z.object({ embedUuid: z.string() });

export const embedEndpoints: AnyEndpoint[] = [
  endpoint({
    method: 'get',
    path: '/v1/embed',
    tag,
    summary: 'List the chat widgets',
    dialect: anythingllm,
    reply: z
      .object({
        embeds: z.array(
          z.object({
            id: z.int(),
            uuid: z.uuid(),
            enabled: z.boolean(),
            chat_mode: z.enum(chatModes),
            createdAt: isoDate,
            workspace: z.object({ id: z.int(), name: z.string() }),
            chat_count: z.int(),
          }),
        ),
      })
      .openapi('AnythingLLMEmbeds'),
    document: graphql(`query Embeds($first: Int!) {
      embeds(first: $first) {
        nodes { databaseId uuid enabled chatMode createdAt agentDatabaseId agentName chatCount }
      }
    }`),
    variables: () => ({ first: everything }),
    output: ({ embeds }) => ({
      embeds: embeds.nodes.map((embed) => ({
        id: embed.databaseId,
        uuid: embed.uuid,
        enabled: embed.enabled,
        chat_mode: fromChatMode(embed.chatMode),
        createdAt: embed.createdAt,
        workspace: { id: workspaceIdOf(embed.agentDatabaseId), name: embed.agentName },
        chat_count: embed.chatCount,
      })),
    }),
  }),
  endpoint({
    method: 'get',
    path: '/v1/embed/{embedUuid}/chats',
    tag,
    summary: 'List the chats of a widget’s visitors; also requires `manage:agents`',
    dialect: anythingllm,
    params: byUuid,
    reply: EmbedChats,
    document: graphql(
      `query EmbedChats($id: ID!, $first: Int!) {
        embedChats(filter: { embedId: $id }, first: $first) { nodes { ...AnythingLLMEmbedChat } }
      }`,
      [ExchangeFields],
    ),
    variables: ({ params }) => ({ id: embedId(params.embedUuid), first: everything }),
    output: ({ embedChats }) => ({ chats: embedChats.nodes.map(chatRow) }),
  }),
  endpoint({
    method: 'get',
    path: '/v1/embed/{embedUuid}/chats/{sessionUuid}',
    tag,
    summary: 'List one visitor’s chats with a widget; also requires `manage:agents`',
    dialect: anythingllm,
    params: byUuid.extend({ sessionUuid: z.string() }),
    reply: EmbedChats,
    document: graphql(
      `query EmbedSessionChats($id: ID!, $sessionId: String!, $first: Int!) {
        embedChats(filter: { embedId: $id, clientSessionId: $sessionId }, first: $first) { nodes { ...AnythingLLMEmbedChat } }
      }`,
      [ExchangeFields],
    ),
    variables: ({ params }) => ({ id: embedId(params.embedUuid), sessionId: params.sessionUuid, first: everything }),
    output: ({ embedChats }) => ({ chats: embedChats.nodes.map(chatRow) }),
  }),
  endpoint({
    method: 'post',
    path: '/v1/embed/new',
    tag,
    summary: 'Create a chat widget, which opens a workspace to anonymous visitors',
    dialect: anythingllm,
    body: NewEmbed,
    reply: z.object({ embed: EmbedRow, error: z.null() }).openapi('AnythingLLMCreatedEmbed'),
    document: graphql(
      `mutation CreateEmbed($input: CreateEmbedInput!) {
        createEmbed(input: $input) { embed { ...AnythingLLMEmbed } }
      }`,
      [EmbedFields],
    ),
    variables: ({ body: { workspace_slug, ...rest } }) => ({
      input: { ...changes(rest), agent: { slug: workspace_slug } },
    }),
    output: ({ createEmbed }) => ({ embed: embedRow(createEmbed.embed), error: null }),
    invalid,
    failure,
  }),
  endpoint({
    method: 'post',
    path: '/v1/embed/{embedUuid}',
    tag,
    summary: 'Update, enable or disable a chat widget',
    dialect: anythingllm,
    params: byUuid,
    body: EmbedChange,
    reply: z
      .object({ success: z.literal(true).optional(), error: z.null().optional() })
      .openapi('AnythingLLMChangedEmbed', { description: 'An empty object if the request contains no changes.' }),
    document: graphql(
      `mutation UpdateEmbed($input: UpdateEmbedInput!) { updateEmbed(input: $input) { embed { uuid } } }`,
    ),
    variables: ({ params, body }) => ({
      input: { id: embedId(params.embedUuid), ...changes(body), clear: lifted(body) },
    }),
    output: (_data, { body }) =>
      Object.keys(changes(body)).length + lifted(body).length > 0 ? { success: true as const, error: null } : {},
    invalid,
    failure,
  }),
  endpoint({
    method: 'delete',
    path: '/v1/embed/{embedUuid}',
    tag,
    summary: 'Delete a chat widget and the chats of its visitors',
    dialect: anythingllm,
    params: byUuid,
    reply: z.object({ success: z.literal(true), error: z.null() }).openapi('AnythingLLMDeletedEmbed'),
    document: graphql(`mutation DeleteEmbed($id: ID!) { deleteEmbed(input: { id: $id }) { deletedEmbedId } }`),
    variables: ({ params }) => ({ id: embedId(params.embedUuid) }),
    output: () => ({ success: true as const, error: null }),
    failure,
  }),
];
