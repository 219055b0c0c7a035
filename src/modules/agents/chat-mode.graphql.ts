import { builder } from '../../graphql/builder.ts';

export const ChatModeType = builder.enumType('ChatMode', {
  description: 'When an agent answers.',
  values: {
    AUTOMATIC: { description: 'Always, with the actions that it has.' },
    CHAT: { description: 'Always, from what the model knows and what it found.' },
    QUERY: { description: 'From documents alone; it refuses where none fits.' },
  },
});
