import { z } from '@hono/zod-openapi';
import type { AppError } from '../../errors.ts';
import { type AnyEndpoint, endpoint } from '../endpoint.ts';
import { graphql } from '../graphql.ts';
import { id, nothing } from '../shapes.ts';
import { int32 } from './chat-shapes.ts';
import { message } from './errors.ts';

const tag = 'Chat';

const unknownMessage = (error: AppError) =>
  error.code === 'NOT_FOUND' ? message('Invalid chat message specified') : null;

export const messageEndpoints: AnyEndpoint[] = [
  endpoint({
    method: 'put',
    path: '/chat/set-message-as-latest',
    tag,
    summary: 'Make the branch of a message current',
    body: z.object({ message_id: int32 }).openapi('ChatMessageIdentifier'),
    reply: nothing,
    document: graphql(
      `mutation SetMessageAsLatest($input: SelectChatBranchInput!) { selectChatBranch(input: $input) { sessionId } }`,
    ),
    variables: ({ body }) => ({ input: { messageId: String(body.message_id) } }),
    output: () => null,
    failure: unknownMessage,
  }),
  endpoint({
    method: 'put',
    path: '/chat/set-preferred-response',
    tag,
    summary: 'Set or clear the preferred answer to a question',
    body: z
      .object({ user_message_id: int32, preferred_response_id: int32.nullable() })
      .openapi('SetPreferredResponseRequest'),
    reply: nothing,
    document: graphql(
      `mutation SetPreferredResponse($input: SetPreferredResponseInput!) {
        setPreferredResponse(input: $input) { questionId }
      }`,
    ),
    variables: ({ body }) => ({
      input: {
        questionId: String(body.user_message_id),
        ...(body.preferred_response_id === null
          ? { clear: ['RESPONSE_ID' as const] }
          : { responseId: String(body.preferred_response_id) }),
      },
    }),
    output: () => null,
    failure: (error) => (error.code === 'BAD_USER_INPUT' ? message(error.message) : unknownMessage(error)),
  }),
  endpoint({
    method: 'post',
    path: '/chat/create-chat-message-feedback',
    tag,
    summary: 'Give feedback on an answer or change the given fields of earlier feedback',
    body: z
      .object({
        chat_message_id: int32,
        is_positive: z.boolean().nullish(),
        feedback_text: z.string().max(10_000).nullish(),
        predefined_feedback: z.string().max(500).nullish(),
      })
      .refine(({ is_positive, feedback_text }) => is_positive != null || Boolean(feedback_text), {
        path: ['is_positive'],
        message: 'is required without feedback_text',
      })
      .openapi('ChatFeedbackRequest'),
    reply: nothing,
    document: graphql(
      `mutation CreateChatMessageFeedback($input: RateChatMessageInput!) {
        rateChatMessage(input: $input) { messageId }
      }`,
    ),
    variables: ({ body }) => ({
      input: {
        messageId: String(body.chat_message_id),
        rating: body.is_positive == null ? null : body.is_positive ? ('LIKE' as const) : ('DISLIKE' as const),
        comment: body.feedback_text ?? null,
        reason: body.predefined_feedback ?? null,
      },
    }),
    output: () => null,
    failure: unknownMessage,
  }),
  endpoint({
    method: 'delete',
    path: '/chat/remove-chat-message-feedback',
    tag,
    summary: 'Remove the caller’s feedback on an answer',
    query: z.object({ chat_message_id: id }),
    reply: nothing,
    document: graphql(
      `mutation RemoveChatMessageFeedback($input: RemoveChatMessageRatingInput!) {
        removeChatMessageRating(input: $input) { removed }
      }`,
    ),
    variables: ({ query }) => ({ input: { messageId: String(query.chat_message_id) } }),
    output: () => null,
    failure: unknownMessage,
  }),
];
