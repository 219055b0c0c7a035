import type { ChatMessage as ChatMessageRow, ChatSession as ChatSessionRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { clearField } from '../../graphql/clear-input.ts';
import { integerId } from '../../graphql/id-input.ts';
import { ChatMessage } from './messages.graphql.ts';
import { messageOf, sessionPayload } from './sessions.graphql.ts';

const SelectChatBranchInput = builder.inputType('SelectChatBranchInput', {
  description: 'Input for the mutation `selectChatBranch`.',
  fields: (t) => ({
    messageId: t.id({ required: true, description: 'A message of the branch, by global ID or integer `databaseId`.' }),
  }),
});

const clearPreference = clearField('ClearableResponsePreference', {
  responseId: 'Removes the preference for an answer.',
});

const SetPreferredResponseInput = builder.inputType('SetPreferredResponseInput', {
  description: 'Input for `setPreferredResponse`. Requires either `responseId` or `clear`.',
  fields: (t) => ({
    questionId: t.id({
      required: true,
      description: 'The question, a message of the user, by global ID or integer `databaseId`.',
    }),
    responseId: t.id({
      description: 'The preferred answer to the question, by global ID or integer `databaseId`.',
    }),
    clear: clearPreference(t),
  }),
});

const SelectChatBranchPayload = builder.objectRef<ChatSessionRow>('SelectChatBranchPayload').implement({
  description: 'Result of the mutation `selectChatBranch`.',
  fields: sessionPayload,
});

const SetPreferredResponsePayload = builder.objectRef<ChatMessageRow>('SetPreferredResponsePayload').implement({
  description: 'Result of the mutation `setPreferredResponse`.',
  fields: (t) => ({
    questionId: t.exposeInt('id', {
      description: 'The integer `databaseId` of the question, for callers without `read:chat`.',
    }),
    preferredResponseId: t.exposeInt('preferredResponseId', {
      nullable: true,
      description: 'The integer `databaseId` of the preferred answer; null without a preference.',
    }),
    question: t.field({
      type: ChatMessage,
      nullable: true,
      authScopes: { permission: 'read:chat' },
      description: 'The question after the change.',
      resolve: (question) => question,
    }),
    preferredResponse: t.field({
      type: ChatMessage,
      nullable: true,
      authScopes: { permission: 'read:chat' },
      description: 'The preferred answer; null without a preference.',
      resolve: ({ preferredResponseId }, _args, context, info) => messageOf(preferredResponseId, context, info),
    }),
  }),
});

builder.mutationFields((t) => ({
  selectChatBranch: t.withAuth({ permission: 'manage:chat' }).field({
    type: SelectChatBranchPayload,
    description:
      'Makes the branch of a message current, in a session of the caller or of one of the caller’s projects. Below the message, the branch continues as it was last current.',
    args: { input: t.arg({ type: SelectChatBranchInput, required: true, description: 'The branch to select.' }) },
    resolve: (_root, { input }, { principal, services }) =>
      services.branches.select(principal, {
        messageId: integerId(input.messageId, 'ChatMessage', ['input', 'messageId']),
      }),
  }),
  setPreferredResponse: t.withAuth({ permission: 'manage:chat' }).field({
    type: SetPreferredResponsePayload,
    description:
      'Records which of several answers to a question the user prefers and makes its branch current, in a session of the caller or of one of the caller’s projects.',
    args: {
      input: t.arg({
        type: SetPreferredResponseInput,
        required: true,
        description: 'The question and the preferred answer.',
      }),
    },
    resolve: (_root, { input: { questionId, responseId, clear } }, { principal, services }) =>
      services.branches.prefer(principal, {
        questionId: integerId(questionId, 'ChatMessage', ['input', 'questionId']),
        responseId: responseId == null ? null : integerId(responseId, 'ChatMessage', ['input', 'responseId']),
        clear,
      }),
  }),
}));
