import { z } from '@hono/zod-openapi';
import type { AppError } from '../../errors.ts';
import { cutText } from '../../unicode.ts';
import type { Failure } from '../dialect.ts';
import { type AnyEndpoint, endpoint } from '../endpoint.ts';
import { graphql } from '../graphql.ts';
import { everything, isoDate } from '../onyx/shapes.ts';
import { anythingllm } from './dialect.ts';
import { History, history, StoredMessage } from './history.ts';
import { workspaceIdOf } from './workspace-id.ts';

const tag = 'AnythingLLM threads';

/** Length to which the reference truncates a name. */
const maxNameLength = 255;

/** A text, or undefined for any other or an empty value. */
const name = z
  .preprocess((value) => (value == null || typeof value === 'object' ? '' : String(value)), z.string())
  .transform((text) => cutText(text.toWellFormed(), maxNameLength) || null)
  .openapi({ type: 'string' });

const Thread = z
  .object({
    id: z.int(),
    name: z.string().nullable(),
    slug: z.string(),
    workspace_id: z.int(),
    user_id: z.int().nullable().openapi({ description: 'Who it belongs to, to who may read chats.' }),
    createdAt: isoDate,
    lastUpdatedAt: isoDate,
  })
  .openapi('AnythingLLMThread');

const ThreadReply = z.object({ thread: Thread.nullable(), message: z.string().nullable() });

const workspace = z.object({ slug: z.string() });
const params = workspace.extend({ threadSlug: z.string() });

const ofWorkspace = ({ details }: AppError): boolean => details.resource === 'Agent';

/** The response of reading and renaming for an object that does not exist. */
const missing = (error: AppError): Failure | null =>
  error.code === 'NOT_FOUND'
    ? { status: 404, body: { message: ofWorkspace(error) ? 'Workspace not found' : 'Thread not found' } }
    : null;

export const threadEndpoints: AnyEndpoint[] = [
  endpoint({
    method: 'post',
    path: '/v1/workspace/{slug}/thread/new',
    tag,
    summary: 'Begin a thread',
    dialect: anythingllm,
    params: workspace,
    body: z
      .object({
        name,
        slug: name.openapi({
          type: 'string',
          description: 'Its name in URLs; one is made unless given. One that is taken is told in `message`.',
        }),
        userId: z.unknown().optional().openapi({
          type: 'integer',
          description: 'Ignored. A thread belongs to the caller who creates it.',
        }),
      })
      .openapi('AnythingLLMNewThread'),
    reply: ThreadReply.openapi('AnythingLLMNewThreadResponse'),
    // The owner is visible with `read:chat`.
    partial: true,
    document: graphql(`
      mutation AnythingLLMNewThread($input: CreateChatSessionInput!) {
        createChatSession(input: $input) { number slug name agentId createdAt session { ownerNumber } }
      }
    `),
    variables: ({ params, body }) => ({
      input: { agentSlug: params.slug, name: body.name ?? 'Thread', slug: body.slug },
    }),
    output: ({ createChatSession: { number, slug, name, agentId, createdAt, session } }) => ({
      thread: {
        id: number,
        name,
        slug,
        workspace_id: workspaceIdOf(agentId),
        user_id: session?.ownerNumber ?? null,
        createdAt,
        lastUpdatedAt: createdAt,
      },
      message: null,
    }),
    failure: ({ code, message }) => {
      if (code === 'NOT_FOUND') return { status: 400, body: 'Bad Request' };
      if (code === 'BAD_USER_INPUT') return { status: 400, body: { thread: null, message, error: message } };
      return code === 'CONFLICT' ? { status: 200, body: { thread: null, message } } : null;
    },
  }),
  endpoint({
    method: 'post',
    path: '/v1/workspace/{slug}/thread/{threadSlug}/update',
    tag,
    summary: 'Rename a thread',
    dialect: anythingllm,
    params,
    body: z.object({ name }).openapi('AnythingLLMThreadUpdate'),
    reply: ThreadReply.openapi('AnythingLLMThreadUpdateResponse'),
    // The new state is visible with `read:chat`.
    partial: true,
    document: graphql(`
      mutation AnythingLLMUpdateThread($input: UpdateChatSessionInput!) {
        updateChatSession(input: $input) {
          session { number slug name agentId ownerNumber createdAt updatedAt }
        }
      }
    `),
    variables: ({ params: { slug, threadSlug }, body }) => ({
      input: { session: { chat: { agent: { slug }, threadSlug } }, ...(body.name !== null && { name: body.name }) },
    }),
    output: ({ updateChatSession: { session } }, { body }) => ({
      thread: session && {
        id: session.number,
        name: session.name,
        slug: session.slug,
        workspace_id: workspaceIdOf(session.agentId),
        user_id: session.ownerNumber,
        createdAt: session.createdAt,
        lastUpdatedAt: session.updatedAt,
      },
      message: body.name === null ? 'No valid fields to update!' : null,
    }),
    failure: missing,
  }),
  endpoint({
    method: 'delete',
    path: '/v1/workspace/{slug}/thread/{threadSlug}',
    tag,
    summary: 'Delete a thread',
    dialect: anythingllm,
    params,
    reply: z.literal('OK'),
    format: 'text',
    document: graphql(`
      mutation AnythingLLMDeleteThread($chat: ChatReferenceInput!) {
        deleteChatSession(input: { session: { chat: $chat } }) { deletedChatSessionId }
      }
    `),
    variables: ({ params: { slug, threadSlug } }) => ({ chat: { agent: { slug }, threadSlug } }),
    output: () => 'OK' as const,
    failure: (error) => {
      if (error.code !== 'NOT_FOUND') return null;
      return ofWorkspace(error) ? { status: 400, body: 'Bad Request' } : { status: 200, body: 'OK' };
    },
  }),
  endpoint({
    method: 'get',
    path: '/v1/workspace/{slug}/thread/{threadSlug}/chats',
    tag,
    summary: 'What was said in a thread',
    dialect: anythingllm,
    params,
    reply: History,
    document: graphql(
      `query AnythingLLMThreadChats($slug: String!, $threadSlug: String!, $first: Int!) {
        agentChat(chat: { agent: { slug: $slug }, threadSlug: $threadSlug }) {
          messages(first: $first) { nodes { ...AnythingLLMStoredMessage } }
        }
      }`,
      [StoredMessage],
    ),
    variables: ({ params }) => ({ ...params, first: everything }),
    output: ({ agentChat }) => ({ history: history(agentChat?.messages.nodes ?? []) }),
    failure: missing,
  }),
];
