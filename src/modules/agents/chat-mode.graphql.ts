import { builder } from '../../graphql/builder.ts';

export const ChatModeType = builder.enumType('ChatMode', {
  description: 'The mode in which an agent answers questions.',
  values: {
    AUTOMATIC: { description: 'Answers every question, with the actions of the agent.' },
    CHAT: { description: 'Answers every question, from the knowledge of the model and the documents that match.' },
    QUERY: { description: 'Answers only from documents, and refuses a question that no document matches.' },
  },
});
