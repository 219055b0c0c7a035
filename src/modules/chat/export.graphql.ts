import { signedIn } from '../../authz/principal.ts';
import { builder } from '../../graphql/builder.ts';

const ChatExportFormat = builder.enumType('ChatExportFormat', {
  description: 'How an export is written.',
  values: {
    JSON: { description: 'An array of sessions, each with the whole tree of its messages.' },
    MARKDOWN: { description: 'For people: the current branch, who said what and when.' },
  },
});

const ChatExport = builder.objectRef<{ fileName: string; mediaType: string; content: string }>('ChatExport').implement({
  description: 'A session as a file.',
  fields: (t) => ({
    fileName: t.exposeString('fileName', { description: 'A name for the file.' }),
    mediaType: t.exposeString('mediaType', { description: '`application/json` or `text/markdown`.' }),
    content: t.exposeString('content', { description: 'The file.' }),
  }),
});

builder.queryField('exportChatSession', (t) =>
  t.field({
    type: ChatExport,
    authScopes: { permission: 'read:chat' },
    description:
      'One session that the caller may read as their own, as a file of at most 4,000,000 characters. Documents that the caller may not read are not named. The download at `/api/chat/export` has no such limit, and can hold all of one’s own.',
    args: {
      id: t.arg({ type: 'UUID', required: true, description: 'The session.' }),
      format: t.arg({
        type: ChatExportFormat,
        required: true,
        defaultValue: 'JSON',
        description: 'How it is written.',
      }),
    },
    resolve: (_root, { id, format }, { principal, services }) =>
      services.chatExports.whole(signedIn(principal), id, format),
  }),
);
