import { builder } from '../../graphql/builder.ts';
import { uuidId } from '../../graphql/id-input.ts';

const ChatExportFormat = builder.enumType('ChatExportFormat', {
  description: 'The format of an export.',
  values: {
    JSON: { description: 'A JSON array of sessions, each with its complete message tree.' },
    MARKDOWN: { description: 'Markdown for people: the messages of the current branch with author and time.' },
  },
});

const ChatExport = builder.objectRef<{ fileName: string; mediaType: string; content: string }>('ChatExport').implement({
  description: 'A session as the content of a file.',
  fields: (t) => ({
    fileName: t.exposeString('fileName', { description: 'The suggested name of the file.' }),
    mediaType: t.exposeString('mediaType', {
      description: 'The media type of the file: `application/json` or `text/markdown`.',
    }),
    content: t.exposeString('content', { description: 'The content of the file.' }),
  }),
});

builder.queryField('exportChatSession', (t) =>
  t.withAuth({ permission: 'read:chat' }).field({
    type: ChatExport,
    description:
      'Exports a session that the caller can read as their own. At most 4,000,000 characters; the download `/api/chat/export` has no such limit and can contain all sessions of the caller. Documents that the caller cannot read are left out.',
    args: {
      id: t.arg.id({ required: true, description: 'The session, by global ID or UUID.' }),
      format: t.arg({
        type: ChatExportFormat,
        required: true,
        defaultValue: 'JSON',
        description: 'The format of the file. Defaults to `JSON`.',
      }),
    },
    resolve: (_root, { id, format }, { principal, services }) =>
      services.chatExports.whole(principal, uuidId(id, 'ChatSession', ['id']), format),
  }),
);
