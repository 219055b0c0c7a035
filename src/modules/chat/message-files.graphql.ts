import { builder } from '../../graphql/builder.ts';
import { File } from '../files/file-type.graphql.ts';
import { ChatMessage } from './messages.graphql.ts';

const oldestFirst = [{ createdAt: 'asc' }, { id: 'asc' }] as const;

builder.prismaObjectField(ChatMessage, 'files', (t) =>
  t.field({
    type: [File],
    listSize: 5,
    description: 'The files that are attached to the message, in the order of their upload.',
    select: (_args, _context, nested) => ({ files: { ...(nested() as object), orderBy: [...oldestFirst] } }),
    resolve: ({ files }) => files,
  }),
);
