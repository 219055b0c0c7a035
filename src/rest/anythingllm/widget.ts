import { randomUUID } from 'node:crypto';
import { z } from '@hono/zod-openapi';
import type { ErrorCode } from '../../error-reasons.ts';
import type { AppError } from '../../errors.ts';
import { quotaScopes } from '../../modules/widgets/visitor-errors.ts';
import type { Failure } from '../dialect.ts';
import { type AnyEndpoint, endpoint } from '../endpoint.ts';
import { graphql, type ResultOf } from '../graphql.ts';
import { anythingllm, failed } from './dialect.ts';
import { textFrom } from './shapes.ts';

const tag = 'AnythingLLM embeds';

/** Input of anonymous visitors: a value that cannot be parsed counts as absent. */
const anyText = z
  .string()
  .nullish()
  .catch(null)
  .openapi({ type: ['string', 'null'] });

const number = z
  .preprocess((value) => Number.parseFloat(textFrom(value)), z.number().min(0).max(2))
  .nullish()
  .catch(null)
  .openapi({ type: ['number', 'null'] });

const VisitorMessage = z
  .object({
    sessionId: z.string().catch('').openapi({
      type: 'string',
      description:
        'The UUID of the chat, which the visitor’s page generates. It acts as a secret: a client that has it can read and delete the chat.',
    }),
    message: z
      .string()
      .catch('')
      .openapi({ type: 'string', description: 'The question of the visitor. At most 20,000 characters.' }),
    prompt: anyText.openapi({
      description: 'Instructions that replace the prompt of the workspace. Ignored unless the widget allows it.',
    }),
    model: anyText.openapi({ description: 'The model that answers. Ignored unless the widget allows it.' }),
    temperature: number.openapi({
      description: 'The sampling temperature, 0 to 2. Ignored unless the widget allows it.',
    }),
    username: z
      .unknown()
      .optional()
      .openapi({ description: 'Ignored. The server does not store the names of visitors.' }),
  })
  .openapi('EmbedStreamChat');

const TurnEvent = graphql(`
  fragment EmbedTurnEvent on EmbedTurnEvent @_unmask {
    __typename
    ... on EmbedAnswerDelta { text }
    ... on EmbedAnswerRefused { text }
    ... on EmbedAnswerFailed { message }
  }
`);

const turn = graphql(
  `subscription EmbedTurn($input: EmbedTurnInput!) { embedTurn(input: $input) { ...EmbedTurnEvent } }`,
  [TurnEvent],
);

/** Ends a chat that failed. Newer widgets show `errorMsg`. */
const abort = (error: string, errorMsg = error) => ({
  id: randomUUID(),
  type: 'abort',
  textResponse: null,
  sources: [],
  close: true,
  error,
  errorMsg,
});

/** Returns the frames of one answer with a common ID. Visitors receive no documents. */
function frames() {
  const id = randomUUID();
  const chunk = (textResponse: string, close: boolean) => ({
    uuid: id,
    sources: [],
    type: 'textResponseChunk',
    textResponse,
    close,
    error: false,
  });
  return (event: ResultOf<typeof TurnEvent>): unknown[] => {
    switch (event.__typename) {
      case 'EmbedAnswerDelta':
        return [chunk(event.text, false)];
      case 'EmbedAnswerEnded':
        return [chunk('', true)];
      case 'EmbedAnswerRefused':
        return [{ id, type: 'textResponse', textResponse: event.text, sources: [], close: true, error: null }];
      case 'EmbedAnswerFailed':
        return [{ ...abort(event.message), id }];
    }
  };
}

const statuses: Record<ErrorCode, number> = {
  UNAUTHENTICATED: 401,
  FORBIDDEN: 401,
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

/** Converts an error for the widget. */
function aborted({ message, details }: AppError) {
  const text = details.fields?.[0]?.message ?? message;
  return abort(details.scope === quotaScopes.embed ? 'Rate limit exceeded' : text, text);
}

const failure = (error: AppError): Failure => ({ status: statuses[error.code], body: aborted(error) });

const ofVisitor = z.object({ embedUuid: z.string(), sessionId: z.string() });

const historyFailure = ({ code, message }: AppError): Failure => failed(statuses[code], message);

const Exchanges = graphql(`
  query EmbedHistory($uuid: String!, $sessionId: String!) {
    embedChat(uuid: $uuid, clientSessionId: $sessionId) { databaseId question answer askedAt answeredAt }
  }
`);

const seconds = (date: Date): number => Math.floor(new Date(date).getTime() / 1000);

/** The endpoints that a widget on a web page calls, without a credential: the widget determines what is allowed. */
export const widgetEndpoints: AnyEndpoint[] = [
  endpoint({
    method: 'post',
    path: '/embed/{embedUuid}/stream-chat',
    tag,
    summary: 'Send a visitor’s message and stream the answer',
    dialect: anythingllm,
    params: z.object({ embedUuid: z.string() }),
    body: VisitorMessage,
    reply: z
      .looseObject({})
      .openapi({ description: 'A frame of the answer. The response is always a stream of frames.' }),
    document: turn,
    variables: ({ params, body: { username, sessionId, ...rest } }) => ({
      input: { uuid: params.embedUuid, clientSessionId: sessionId, ...rest },
    }),
    output: (frame) => frame,
    invalid: (error) => ({ status: 400, body: aborted(error) }),
    failure,
    stream: {
      document: turn,
      sse: {},
      packets: () => {
        const of = frames();
        return { of: ({ embedTurn }) => of(embedTurn), failed: (error) => [aborted(error)] };
      },
      description:
        'Each event is one frame. The frames of one answer share a `uuid`, and the last frame has `close: true`.',
    },
  }),
  endpoint({
    method: 'get',
    path: '/embed/{embedUuid}/{sessionId}',
    tag,
    summary: 'Get a visitor’s chat by its session ID',
    dialect: anythingllm,
    params: ofVisitor,
    reply: z
      .object({
        history: z.array(
          z.object({
            role: z.enum(['user', 'assistant']),
            content: z.string(),
            sentAt: z.int().openapi({ description: 'The time of the message, in seconds since 1970.' }),
            chatId: z.int(),
            type: z.literal('chat').optional(),
            sources: z.array(z.unknown()).max(0).optional(),
            attachments: z.array(z.unknown()).max(0).optional(),
            feedbackScore: z.null().optional(),
            metrics: z.object({}).optional(),
          }),
        ),
      })
      .openapi('EmbedHistory'),
    document: Exchanges,
    variables: ({ params }) => ({ uuid: params.embedUuid, sessionId: params.sessionId }),
    output: ({ embedChat }) => ({
      history: embedChat.flatMap(({ databaseId, question, answer, askedAt, answeredAt }) => [
        {
          role: 'user' as const,
          content: question,
          sentAt: seconds(askedAt),
          attachments: [],
          chatId: databaseId,
        },
        {
          type: 'chat' as const,
          role: 'assistant' as const,
          content: answer,
          sources: [],
          chatId: databaseId,
          sentAt: seconds(answeredAt),
          feedbackScore: null,
          metrics: {},
        },
      ]),
    }),
    failure: historyFailure,
  }),
  endpoint({
    method: 'delete',
    path: '/embed/{embedUuid}/{sessionId}',
    tag,
    summary: 'Delete a visitor’s chat by its session ID',
    dialect: anythingllm,
    params: ofVisitor,
    reply: z.literal('OK'),
    format: 'text',
    document: graphql(`
      mutation DeleteEmbedChat($uuid: String!, $sessionId: String!) {
        deleteEmbedChat(input: { uuid: $uuid, clientSessionId: $sessionId }) { deleted }
      }
    `),
    variables: ({ params }) => ({ uuid: params.embedUuid, sessionId: params.sessionId }),
    output: () => 'OK' as const,
    failure: historyFailure,
  }),
];
