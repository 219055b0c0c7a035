import { signedIn } from '../../authz/principal.ts';
import type { ChatMessage as ChatMessageRow, ChatSession as ChatSessionRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { clearField } from '../../graphql/clear-input.ts';
import { ChatMessage } from './messages.graphql.ts';
import { sessionPayload } from './sessions.graphql.ts';

const SelectChatBranchInput = builder.inputType('SelectChatBranchInput', {
  description: 'Which branch of a session’s message tree becomes the current one.',
  fields: (t) => ({
    messageId: t.int({ required: true, description: 'The integer id of a message on it.' }),
  }),
});

const clearPreference = clearField('ClearableResponsePreference', {
  responseId: 'Removes the preference.',
});

const SetPreferredResponseInput = builder.inputType('SetPreferredResponseInput', {
  description: 'Input for `setPreferredResponse`. Requires either `responseId` or `clear`.',
  fields: (t) => ({
    questionId: t.int({ required: true, description: 'The integer ID of the question, a message of the user.' }),
    responseId: t.int({ description: 'The integer ID of the preferred answer to the question.' }),
    clear: clearPreference(t),
  }),
});

const SelectChatBranchPayload = builder.objectRef<ChatSessionRow>('SelectChatBranchPayload').implement({
  description: 'Where `selectChatBranch` changed the current branch.',
  fields: sessionPayload,
});

const SetPreferredResponsePayload = builder.objectRef<ChatMessageRow>('SetPreferredResponsePayload').implement({
  description: 'What `setPreferredResponse` noted.',
  fields: (t) => ({
    questionId: t.exposeInt('id', { description: 'The integer id of the question.' }),
    preferredResponseId: t.exposeInt('preferredResponseId', {
      nullable: true,
      description: 'The integer id of the answer that is preferred now; null: none.',
    }),
    question: t.field({
      type: ChatMessage,
      nullable: true,
      authScopes: { permission: 'read:chat' },
      description: 'The question.',
      resolve: (question) => question,
    }),
  }),
});

builder.mutationFields((t) => ({
  selectChatBranch: t.field({
    type: SelectChatBranchPayload,
    authScopes: { permission: 'manage:chat' },
    description:
      'Makes the branch that a message is on the current one, in one of one’s own sessions, or of one’s own project’s. Below the message, what was current there goes on.',
    args: { input: t.arg({ type: SelectChatBranchInput, required: true, description: 'The branch.' }) },
    resolve: (_root, { input }, { principal, services }) => services.branches.select(signedIn(principal), input),
  }),
  setPreferredResponse: t.field({
    type: SetPreferredResponsePayload,
    authScopes: { permission: 'manage:chat' },
    description:
      'Notes which of several answers to a question is preferred, and makes its branch the current one, in one of one’s own sessions, or of one’s own project’s.',
    args: { input: t.arg({ type: SetPreferredResponseInput, required: true, description: 'The preference.' }) },
    resolve: (_root, { input }, { principal, services }) => services.branches.prefer(signedIn(principal), input),
  }),
}));
