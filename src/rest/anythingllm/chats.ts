import { z } from '@hono/zod-openapi';
import type { ErrorReason } from '../../error-reasons.ts';
import type { AppError } from '../../errors.ts';
import { type Failure, withProvider } from '../dialect.ts';
import { type AnyEndpoint, endpoint } from '../endpoint.ts';
import { graphql, type ResultOf } from '../graphql.ts';
import { everything } from '../shapes.ts';
import {
  aborted,
  Frame,
  FrameEvent,
  frames,
  metrics,
  SourceFields,
  source,
  turnErrorOf,
  UsageFields,
  wasReset,
  withThoughts,
} from './chat-frames.ts';
import { anythingllm } from './dialect.ts';
import { History, history, limit, StoredMessage } from './history.ts';
import { textFrom } from './shapes.ts';

const modes = { automatic: 'AUTOMATIC', chat: 'CHAT', query: 'QUERY' } as const;
const isMode = (mode: string): mode is keyof typeof modes => Object.hasOwn(modes, mode);

/** Reads text as the reference does: only a text or a number is accepted. */
const text = z
  .preprocess((value) => (typeof value === 'number' ? String(value) : value), z.string().catch(''))
  .openapi({ type: 'string' });
/** Reads text as the reference does where any value is accepted. */
const anyText = z
  .preprocess((value) => (value == null || value === '' ? null : textFrom(value)), z.string().nullable())
  .openapi({ type: 'string' });

const documentType = 'application/anythingllm-document';

const Attachment = z
  .object({
    name: z.string().catch('').openapi({ type: 'string' }),
    mime: z
      .string()
      .catch('')
      .openapi({
        type: 'string',
        description: `The media type of an image, or \`${documentType}\` for any other file.`,
      }),
    contentString: z.string().openapi({ description: 'The content of the file as a `data:` URL in Base64.' }),
  })
  .openapi('AnythingLLMAttachment');

const said = {
  message: text.openapi({ type: 'string', description: 'The message of the caller. Optional with `reset`.' }),
  mode: anyText.openapi({
    type: 'string',
    enum: Object.keys(modes),
    description: 'How the answer depends on the documents found. Defaults to the mode of the workspace.',
  }),
  attachments: z
    .array(Attachment)
    .max(20)
    .nullish()
    .openapi({ description: 'At most 20 files, which the server stores. Requires `write:projects`.' }),
  reset: z.preprocess(Boolean, z.boolean()).openapi({
    type: 'boolean',
    description:
      'If true, starts this chat over before it sends the message. Other chats of the workspace do not change. Defaults to false.',
  }),
};

interface Said {
  message: string;
  mode: string | null;
  reset: boolean;
}

/** Checks the contract's requirements of a message, unless the chat is only started over. */
function checkSaid({ message, mode, reset }: Said, context: z.RefinementCtx): void {
  if (reset) return;
  if (message === '') context.addIssue({ code: 'custom', path: ['message'], message: 'Message is empty' });
  else if (mode !== null && !isMode(mode))
    context.addIssue({ code: 'custom', path: ['mode'], message: `${mode} is not a valid mode.` });
}

const WorkspaceChat = z
  .object({
    ...said,
    sessionId: anyText.openapi({
      type: 'string',
      description:
        'A name that the client chooses for a separate chat of the caller, at most 255 characters. Defaults to the caller’s unnamed chat with the workspace.',
    }),
  })
  .superRefine(checkSaid)
  .openapi('AnythingLLMChat');

const ThreadChat = z
  .object({
    ...said,
    userId: z.unknown().optional().openapi({
      type: 'integer',
      description: 'Ignored. The messages of a thread belong to the caller.',
    }),
  })
  .superRefine(checkSaid)
  .openapi('AnythingLLMThreadChat');

const workspace = z.object({ slug: z.string() });
const thread = workspace.extend({ threadSlug: z.string() });

type Path = Partial<z.infer<typeof thread>> & z.infer<typeof workspace>;
type Body = Said & { attachments?: z.infer<typeof Attachment>[] | null | undefined; sessionId?: string | null };
interface Input {
  params: Path;
  body: Body;
}

const DATA_URL = /^data:([^;,]*)(;[^,]*)?;base64$/;

/** Splits a `data:` URL; any other text is taken as Base64. */
function inline({ name, mime, contentString }: z.infer<typeof Attachment>) {
  const comma = contentString.indexOf(',');
  const [, type = ''] = DATA_URL.exec(contentString.slice(0, Math.max(comma, 0))) ?? [];
  return {
    name,
    mediaType: (mime === documentType ? type : mime || type) || 'application/octet-stream',
    base64: contentString.slice(comma + 1),
  };
}

/** Returns whether there is a message, and not only a reset. */
const speaks = ({ body }: { body: Body }): boolean => body.message !== '';

function send({ params: { slug, threadSlug }, body }: Input) {
  const chat = { agent: { slug }, threadSlug: threadSlug ?? null, clientSessionId: body.sessionId ?? null };
  return {
    chat,
    input: {
      message: body.message,
      chat,
      mode: body.mode !== null && isMode(body.mode) ? modes[body.mode] : null,
      parent: body.reset ? { startOver: true } : { continue: true },
      attachments: body.attachments?.map(inline) ?? null,
      // These clients show sources separately.
      includeCitations: false,
      queue: true,
    },
  };
}

const Chat = graphql(
  `
  mutation AnythingLLMChat(
    $input: SendChatMessageInput!, $chat: ChatReferenceInput!, $speaks: Boolean!, $onlyResets: Boolean!
  ) {
    startChatOver(input: $chat) @include(if: $onlyResets) { sessionId }
    sendChatMessage(input: $input) @include(if: $speaks) {
      runId assistantMessageId answer reasoning isRefusal
      documents { ...AnythingLLMSource }
      usage { ...AnythingLLMUsage }
      failure { code message retryable retryAfter providerMessage }
    }
  }
`,
  [SourceFields, UsageFields],
);
const ChatStream = graphql(
  `subscription AnythingLLMChatStream($input: SendChatMessageInput!) {
    chatTurn(input: $input) { ...AnythingLLMFrameEvent }
  }`,
  [FrameEvent],
);

/** Returns a reply in one of its four shapes (contract 3.3). Throws the error of a turn that failed. */
function reply({ sendChatMessage: turn }: ResultOf<typeof Chat>): z.input<typeof Frame> {
  if (!turn) return wasReset();
  if (turn.failure) throw turnErrorOf(turn.failure);
  const common = { id: turn.runId, type: 'textResponse' as const, close: true, error: null };
  if (turn.isRefusal) return { ...common, sources: [], textResponse: turn.answer, metrics: {} };
  return {
    ...common,
    chatId: turn.assistantMessageId,
    textResponse: withThoughts(turn.reasoning, turn.answer),
    sources: turn.documents.map(source),
    metrics: metrics(turn.usage),
  };
}

const statuses: Partial<Record<AppError['code'], number>> = {
  NOT_FOUND: 404,
  BAD_USER_INPUT: 400,
  CONFLICT: 409,
  RATE_LIMITED: 429,
  UPSTREAM_REJECTED: 400,
  UPSTREAM_FAILED: 502,
  TIMEOUT: 503,
  UNAVAILABLE: 503,
  INTERNAL: 500,
};

/**
 * Returns an abort object for every error but a missing permission; `missing` describes an object that does not exist.
 */
const failure =
  (missing: (reason: ErrorReason, params: Path) => Failure) =>
  (error: AppError, input: Input | null): Failure | null => {
    if (error.code === 'NOT_FOUND' && input) return missing(error.reason, input.params);
    const status = statuses[error.code];
    return status === undefined ? null : aborted(status, withProvider(error));
  };

/** Returns the contract's message for an invalid message, which names no field. */
const invalid = (error: AppError): Failure => {
  const problem = error.details.fields?.[0];
  const own = problem?.path.at(-1) === 'message' || problem?.path.at(-1) === 'mode';
  return aborted(400, own ? (problem?.message ?? '') : error.message);
};

const wrongWorkspace = (_reason: ErrorReason, { slug }: Path) =>
  aborted(400, `Workspace ${slug} is not a valid workspace.`);
const missingThread = (reason: ErrorReason, { slug, threadSlug }: Path) =>
  aborted(404, reason === 'AGENT_NOT_FOUND' ? `Workspace ${slug} not found.` : `Thread ${threadSlug} not found.`);
const wrongThread = (_reason: ErrorReason, { slug, threadSlug }: Path) =>
  aborted(400, `Workspace ${slug} or thread ${threadSlug} is not valid.`);

const variables = (input: Input) => ({ ...send(input), speaks: speaks(input), onlyResets: !speaks(input) });

const Stream = {
  document: ChatStream,
  sse: {},
  when: speaks,
  variables: (input: Input) => ({ input: send(input).input }),
  packets: () => {
    const turn = frames();
    return { ...turn, of: ({ chatTurn }: ResultOf<typeof ChatStream>) => turn.of(chatTurn) };
  },
  description:
    'Each event is one frame. The frames `textResponseChunk` contain parts of the answer, the last of them is empty, and `finalizeResponseStream` contains the sources. A refusal or an error is a single frame. The answer continues after the client disconnects.',
};

/** Returns a stream with a single frame. */
const alone = (frame: object): string => `data: ${JSON.stringify(frame)}\n\n`;
const StreamReply = z.union([
  Frame,
  z.string().openapi({ description: 'A single server-sent event that confirms a `reset` without a message.' }),
]);

const common = { method: 'post' as const, dialect: anythingllm, invalid };
const streamed = {
  reply: StreamReply,
  headers: () => ({ 'Content-Type': 'text/event-stream; charset=utf-8', 'Cache-Control': 'no-cache' }),
  output: () => alone(wasReset()),
  stream: Stream,
};

export const chatEndpoints: AnyEndpoint[] = [
  endpoint({
    ...common,
    path: '/v1/workspace/{slug}/chat',
    tag: 'AnythingLLM workspaces',
    summary: 'Send a message to a workspace',
    params: workspace,
    body: WorkspaceChat,
    reply: Frame,
    document: Chat,
    variables,
    output: reply,
    failure: failure(wrongWorkspace),
  }),
  endpoint({
    ...common,
    ...streamed,
    path: '/v1/workspace/{slug}/stream-chat',
    tag: 'AnythingLLM workspaces',
    summary: 'Send a message to a workspace and stream the answer',
    params: workspace,
    body: WorkspaceChat,
    document: Chat,
    variables,
    failure: failure(wrongWorkspace),
  }),
  endpoint({
    method: 'get',
    path: '/v1/workspace/{slug}/chats',
    tag: 'AnythingLLM workspaces',
    summary: 'List the messages of the caller’s chat with a workspace',
    dialect: anythingllm,
    params: workspace,
    query: z.object({
      apiSessionId: z.string().optional().openapi({
        description:
          'Returns the chat with this `sessionId`, including the messages before a reset. Defaults to the caller’s unnamed chat with the workspace.',
      }),
      limit,
      orderBy: z
        .enum(['asc', 'desc'])
        .catch('asc')
        .openapi({
          type: 'string',
          enum: ['asc', 'desc'],
          description: 'Order of the exchanges: oldest first, or newest first with `desc`. Defaults to oldest first.',
        }),
    }),
    reply: History,
    document: graphql(
      `query AnythingLLMChats($slug: String!, $session: String, $first: Int!) {
        agentChat(chat: { agent: { slug: $slug }, clientSessionId: $session }) {
          messages(first: $first) { nodes { ...AnythingLLMStoredMessage } }
        }
      }`,
      [StoredMessage],
    ),
    variables: ({ params, query }) => ({ slug: params.slug, session: query.apiSessionId || null, first: everything }),
    output: ({ agentChat }, { query }) => ({
      history: history(agentChat?.messages.nodes ?? [], {
        everything: Boolean(query.apiSessionId),
        latestFirst: query.orderBy === 'desc',
        limit: query.limit,
      }),
    }),
    failure: ({ code }) => (code === 'NOT_FOUND' ? { status: 400, body: 'Bad Request' } : null),
  }),
  endpoint({
    ...common,
    path: '/v1/workspace/{slug}/thread/{threadSlug}/chat',
    tag: 'AnythingLLM threads',
    summary: 'Send a message to a thread',
    params: thread,
    body: ThreadChat,
    reply: Frame,
    document: Chat,
    variables,
    output: reply,
    failure: failure(missingThread),
  }),
  endpoint({
    ...common,
    ...streamed,
    path: '/v1/workspace/{slug}/thread/{threadSlug}/stream-chat',
    tag: 'AnythingLLM threads',
    summary: 'Send a message to a thread and stream the answer',
    params: thread,
    body: ThreadChat,
    document: Chat,
    variables,
    failure: failure(wrongThread),
  }),
];
