import { z } from '@hono/zod-openapi';
import type { AppError } from '../../errors.ts';
import { type AnyEndpoint, endpoint } from '../endpoint.ts';
import { graphql, type ResultOf } from '../graphql.ts';
import { everything, id, isoDate } from '../shapes.ts';
import { SourceFields, source } from './chat-frames.ts';
import { anythingllm } from './dialect.ts';
import { multiUserOnly } from './mode.ts';
import {
  done,
  notDone,
  numberFrom,
  Outcome,
  problems,
  textFrom,
  User,
  UserFields,
  user,
  usernameOf,
} from './shapes.ts';
import { workspaceIdOf } from './workspace-id.ts';

const tag = 'AnythingLLM administration';

/** Converts a value to text as the reference does; absent or null counts as not given. */
const asText = z
  .preprocess((value) => (value === undefined || value === null ? value : textFrom(value)), z.string().nullish())
  .openapi({ type: 'string' });

const asLimit = z
  .preprocess(
    (value) => (value === undefined || value === null ? value : numberFrom(value)),
    z
      .number('must be null or a number')
      .int('must be a whole number')
      .min(1, 'must be null or at least 1')
      .max(1_000_000, 'must be at most 1000000')
      .nullish(),
  )
  .openapi({
    type: 'integer',
    description: 'Maximum number of messages that the user can send in any 24 hours, 1 to 1,000,000.',
  });

const asRole = z
  .enum(['admin', 'default'], 'must be admin or default')
  .nullish()
  .openapi({ description: 'The role of the user. The role `manager` of AnythingLLM does not exist on this server.' });
const toRole = (role: 'admin' | 'default') => (role === 'admin' ? ('ADMIN' as const) : ('BASIC' as const));

/** 0, 1 and booleans, as numbers or as text. */
const asFlag = z
  .preprocess(
    (value) => (value === undefined || value === null ? undefined : !['', '0', 'false'].includes(textFrom(value))),
    z.boolean().optional(),
  )
  .openapi({ type: 'integer', description: '1 or true suspends the user; 0 or false reactivates the user.' });

const NewUser = z
  .object({
    username: z.preprocess((value) => textFrom(value ?? ''), z.string()).openapi({ type: 'string' }),
    password: z.preprocess((value) => textFrom(value ?? ''), z.string()).openapi({ type: 'string' }),
    role: asRole,
    dailyMessageLimit: asLimit,
    bio: asText,
  })
  .openapi('AnythingLLMNewUser');

const UserChanges = z
  .object({
    username: asText,
    password: asText,
    role: asRole,
    suspended: asFlag,
    dailyMessageLimit: asLimit,
    bio: asText,
    keepTokens: z.boolean('must be true or false').nullish().openapi({
      description:
        'If true, the user’s tokens keep working after a change of `password`. Defaults to false: the tokens are revoked.',
    }),
    clear: z
      .array(z.enum(['dailyMessageLimit'], 'must be dailyMessageLimit'))
      .nullish()
      .openapi({ description: 'Names of the fields to clear, because null leaves a field unchanged.' }),
  })
  .openapi('AnythingLLMUserChanges');

/** Returns whether the error is about a field of the body. An invalid path or an unreadable body gets 400 instead. */
const ofBody = ({ details }: AppError): boolean => {
  const path = details.fields?.[0]?.path ?? [];
  return path[0] === 'body' && path.length > 1;
};

const EntryFields = graphql(
  `
  fragment AnythingLLMChatRow on QueryHistoryEntry @_unmask {
    databaseId question answer sessionDatabaseId clientKey agentId agentName agentSlug positive model durationMs
    inputTokens outputTokens createdAt onCurrentBranch
    user { number accountType username email }
    passages { ...AnythingLLMSource }
  }
`,
  [SourceFields],
);
type Entry = ResultOf<typeof EntryFields>;

const ChatRow = z
  .object({
    id: z.int(),
    workspaceId: z.int(),
    prompt: z.string(),
    response: z
      .string()
      .openapi({ description: 'JSON text with the answer, its sources, its token counts and its duration.' }),
    include: z.boolean(),
    user_id: z.int().nullable().openapi({ description: 'The integer ID of the user who asked; null for an API key.' }),
    thread_id: z.int().nullable(),
    api_session_id: z.string().nullable(),
    createdAt: isoDate,
    lastUpdatedAt: isoDate,
    feedbackScore: z.boolean().nullable(),
    memoryProcessed: z.boolean(),
    workspace: z.object({ name: z.string(), slug: z.string().nullable() }),
    user: z.object({ username: z.string() }),
  })
  .openapi('AnythingLLMChatRow');

/** Returns the JSON text of `response` for an answer. */
function response({ answer, passages, inputTokens, outputTokens, durationMs, model }: Entry): string {
  return JSON.stringify({
    text: answer,
    sources: passages.map(source),
    type: 'chat',
    attachments: [],
    metrics: {
      prompt_tokens: inputTokens ?? 0,
      completion_tokens: outputTokens ?? 0,
      total_tokens: (inputTokens ?? 0) + (outputTokens ?? 0),
      duration: (durationMs ?? 0) / 1000,
      model,
    },
  });
}

const sessionPrefix = 'session:';

function chatRow(entry: Entry): z.input<typeof ChatRow> {
  const { clientKey, user: asker } = entry;
  const person = asker.accountType === 'STANDARD';
  const session = clientKey?.startsWith(sessionPrefix) ? clientKey.slice(sessionPrefix.length) : null;
  return {
    id: entry.databaseId,
    workspaceId: workspaceIdOf(entry.agentId),
    prompt: entry.question,
    response: response(entry),
    include: entry.onCurrentBranch,
    user_id: person ? asker.number : null,
    thread_id: clientKey === null ? entry.sessionDatabaseId : null,
    api_session_id: session,
    createdAt: entry.createdAt,
    lastUpdatedAt: entry.createdAt,
    feedbackScore: entry.positive,
    memoryProcessed: false,
    workspace: { name: entry.agentName ?? 'deleted workspace', slug: entry.agentSlug },
    user: { username: person ? usernameOf(asker) : session === null ? 'unknown user' : 'API' },
  };
}

/** Number of questions per page, and the last page that a client can request. */
const pageSize = 20;
const lastPage = 100_000_000;
const asPage = z
  .preprocess((value) => Math.min(Math.max(Math.trunc(numberFrom(value)) || 0, 0), lastPage), z.int())
  .openapi({ type: 'integer', description: 'The number of the page, starting at 0. Defaults to 0.' });

/** A text value. An empty text clears the preference; null leaves it unchanged. */
const preference = asText;
const asLinks = z
  .preprocess((value) => {
    if (typeof value !== 'string') return value;
    try {
      return JSON.parse(value);
    } catch {
      return value;
    }
  }, z.array(z.object({ icon: z.string(), url: z.string() }), 'must be a list of links, or JSON of one').nullish())
  .openapi({
    type: 'string',
    description: 'A list of `{ icon, url }` objects, as JSON text. Only the first three are used.',
  });

/** A number of days. 0 clears the preference; null leaves it unchanged. */
const asDays = z
  .preprocess((value) => (value == null ? undefined : numberFrom(value)), z.number('must be a number').optional())
  .openapi({ type: 'integer' });

const Preferences = z
  .object({
    support_email: preference,
    custom_app_name: preference,
    footer_data: asLinks,
    default_system_prompt: preference,
    meta_page_title: preference,
    meta_page_favicon: preference,
    logo_filename: preference,
    max_token_lifetime_days: asDays.openapi({
      description: 'Maximum lifetime of new keys and tokens in days, 1 to 3650. 0 removes the maximum.',
    }),
    default_token_lifetime_days: asDays.openapi({
      description: 'Default lifetime of new keys and tokens in days, 1 to 3650. 0 removes the default.',
    }),
  })
  .openapi('AnythingLLMPreferences', {
    description: 'Changes to the preferences of the server. Other preferences of AnythingLLM are ignored.',
  });

/** Returns the first invalid preference with its name. */
const preferenceProblem = ({ details, message }: AppError): string => {
  const [field] = details.fields ?? [];
  return field ? `${field.path[1]} ${field.message}` : message;
};

export const adminEndpoints: AnyEndpoint[] = [
  endpoint({
    method: 'get',
    path: '/v1/admin/is-multi-user-mode',
    tag,
    summary: 'Check whether multi-user mode is enabled',
    dialect: anythingllm,
    reply: z.object({ isMultiUser: z.boolean() }),
    document: graphql(`query IsMultiUserMode { authentication { multiUserMode } }`),
    signedIn: true,
    variables: () => ({}),
    output: ({ authentication }) => ({ isMultiUser: authentication.multiUserMode }),
  }),
  endpoint({
    method: 'get',
    path: '/v1/admin/users',
    tag,
    summary: 'List all users of the server',
    dialect: anythingllm,
    gate: multiUserOnly,
    reply: z.object({ users: z.array(User) }).openapi('AnythingLLMUsers'),
    document: graphql(`query AdminUsers($first: Int!) { allUsers(first: $first) { nodes { ...AnythingLLMUser } } }`, [
      UserFields,
    ]),
    variables: () => ({ first: everything }),
    output: ({ allUsers }) => ({ users: allUsers.nodes.map(user) }),
  }),
  endpoint({
    method: 'post',
    path: '/v1/admin/users/new',
    tag,
    summary: 'Create a user with a password',
    dialect: anythingllm,
    gate: multiUserOnly,
    body: NewUser,
    reply: z.object({ user: User, error: z.null() }).openapi('AnythingLLMNewUserResponse'),
    document: graphql(
      `mutation AdminNewUser($input: CreateUserInput!) { createUser(input: $input) { user { ...AnythingLLMUser } } }`,
      [UserFields],
    ),
    variables: ({ body: { role, dailyMessageLimit, bio, ...rest } }) => ({
      input: { ...rest, role: toRole(role ?? 'default'), dailyMessageLimit, bio },
    }),
    output: ({ createUser }) => ({ user: user(createUser.user), error: null }),
    invalid: (error) => (ofBody(error) ? { status: 400, body: { user: null, error: problems(error) } } : null),
    failure: (error) =>
      error.code === 'BAD_USER_INPUT' || error.code === 'CONFLICT'
        ? { status: 400, body: { user: null, error: problems(error) } }
        : null,
  }),
  endpoint({
    method: 'post',
    path: '/v1/admin/users/{id}',
    tag,
    summary: 'Update a user; rejects all changes if one is invalid',
    dialect: anythingllm,
    gate: multiUserOnly,
    params: z.object({ id }),
    body: UserChanges,
    reply: Outcome,
    document: graphql(
      `mutation AdminUpdateUser($input: UpdateUserInput!) { updateUser(input: $input) { user { id } } }`,
    ),
    variables: ({ params, body: { role, suspended, clear, ...changes } }) => ({
      input: {
        user: { id: String(params.id) },
        ...changes,
        ...(clear && { clear: clear.map(() => 'DAILY_MESSAGE_LIMIT' as const) }),
        ...(role != null && { role: toRole(role) }),
        ...(suspended !== undefined && { active: !suspended }),
      },
    }),
    output: () => done,
    invalid: (error) => (ofBody(error) ? notDone(200, problems(error)) : null),
    failure: (error, input) => {
      if (error.code === 'NOT_FOUND') return notDone(input?.body.role == null ? 200 : 404, 'User not found');
      if (error.code === 'CONFLICT') return notDone(200, error.message);
      if (error.code !== 'BAD_USER_INPUT') return null;
      return notDone(200, ofBody(error) ? problems(error) : 'No valid updates applied.');
    },
  }),
  endpoint({
    method: 'delete',
    path: '/v1/admin/users/{id}',
    tag,
    summary: 'Delete a user and the data that belongs only to that user',
    dialect: anythingllm,
    gate: multiUserOnly,
    params: z.object({ id }),
    reply: Outcome,
    document: graphql(
      `mutation AdminDeleteUser($id: ID!) {
        deleteUser(input: { user: { id: $id }, evenActive: true }) { deletedUserId }
      }`,
    ),
    variables: ({ params }) => ({ id: String(params.id) }),
    output: () => done,
    failure: (error) => {
      if (error.code === 'NOT_FOUND') return notDone(404, 'User not found');
      return error.code === 'CONFLICT' ? notDone(200, error.message) : null;
    },
  }),
  endpoint({
    method: 'post',
    path: '/v1/admin/workspace-chats',
    tag,
    summary: 'List the questions and answers of all users, newest first, 20 per page',
    dialect: anythingllm,
    body: z.object({ offset: asPage }).openapi('AnythingLLMWorkspaceChats'),
    reply: z
      .object({ success: z.literal(true), error: z.null(), chats: z.array(ChatRow), hasPages: z.boolean() })
      .openapi('AnythingLLMWorkspaceChatsResponse'),
    document: graphql(
      `query WorkspaceChats($first: Int!, $offset: Int!) {
        queryHistory(first: $first, offset: $offset, filter: { visitors: false }) {
          nodes { ...AnythingLLMChatRow } pageInfo { hasNextPage }
        }
      }`,
      [EntryFields],
    ),
    variables: ({ body }) => ({ first: pageSize, offset: body.offset * pageSize }),
    output: ({ queryHistory: { nodes, pageInfo } }) => ({
      success: true as const,
      error: null,
      chats: nodes.map(chatRow),
      hasPages: pageInfo.hasNextPage,
    }),
  }),
  endpoint({
    method: 'post',
    path: '/v1/admin/preferences',
    tag,
    summary: 'Update the preferences of the server',
    dialect: anythingllm,
    gate: multiUserOnly,
    body: Preferences,
    reply: Outcome,
    document: graphql(
      `mutation AdminPreferences($input: UpdatePreferencesInput!) {
        updatePreferences(input: $input) { preferences { appName } }
      }`,
    ),
    variables: ({ body }) => ({
      input: {
        supportEmail: body.support_email,
        appName: body.custom_app_name,
        footerLinks: body.footer_data?.slice(0, 3),
        defaultSystemPrompt: body.default_system_prompt,
        pageTitle: body.meta_page_title,
        pageFavicon: body.meta_page_favicon,
        logoFileName: body.logo_filename,
        maxTokenLifetimeDays: body.max_token_lifetime_days || null,
        defaultTokenLifetimeDays: body.default_token_lifetime_days || null,
        clear: [
          ...(body.max_token_lifetime_days === 0 ? (['MAX_TOKEN_LIFETIME_DAYS'] as const) : []),
          ...(body.default_token_lifetime_days === 0 ? (['DEFAULT_TOKEN_LIFETIME_DAYS'] as const) : []),
        ],
      },
    }),
    output: () => done,
    invalid: (error) => (ofBody(error) ? notDone(200, preferenceProblem(error)) : null),
    failure: (error) => {
      if (error.code !== 'BAD_USER_INPUT') return null;
      // Unknown keys only: the server changed no setting, and clients expect success.
      return ofBody(error) ? notDone(200, preferenceProblem(error)) : { status: 200, body: done };
    },
  }),
];
