import { z } from '@hono/zod-openapi';
import { graphql, type ResultOf } from '../graphql.ts';
import { isoDate, isoDateOrNull } from '../shapes.ts';

const chatFileType = z.enum(['image', 'document', 'plain_text', 'csv']);
const chatFileTypes = { IMAGE: 'image', DOCUMENT: 'document', PLAIN_TEXT: 'plain_text', TABULAR: 'csv' } as const;

export const FileSnapshot = graphql(`
  fragment FileSnapshot on File @_unmask {
    databaseId name mediaType kind status error tokenCount chunkCount ownerId createdAt usedAt
  }
`);

export const UserFileSnapshot = z
  .object({
    id: z.uuid(),
    temp_id: z.string().nullable(),
    name: z.string(),
    project_id: z.int().nullable(),
    user_id: z.uuid().nullable(),
    file_id: z.string(),
    created_at: isoDate,
    status: z.enum(['PROCESSING', 'COMPLETED', 'FAILED', 'CANCELED', 'DELETING']),
    last_accessed_at: isoDateOrNull,
    file_type: z.string().nullable(),
    chat_file_type: chatFileType,
    token_count: z.int().nullable(),
    chunk_count: z.int().nullable(),
    error: z.string().optional().openapi({
      description:
        'The reason why the text could not be extracted; it completes the sentence “The file …”. Set only when `status` is FAILED.',
    }),
  })
  .openapi('UserFileSnapshot');

export const fileSnapshot = (
  file: ResultOf<typeof FileSnapshot>,
  tempId: string | null = null,
): z.input<typeof UserFileSnapshot> => ({
  id: file.databaseId,
  temp_id: tempId,
  name: file.name,
  project_id: null,
  user_id: file.ownerId,
  file_id: file.databaseId,
  created_at: file.createdAt,
  status: file.status,
  last_accessed_at: file.usedAt,
  file_type: file.mediaType,
  chat_file_type: chatFileTypes[file.kind],
  token_count: file.tokenCount,
  chunk_count: file.chunkCount,
  ...(file.error !== null && { error: file.error }),
});

/** A file of a message in requests and responses. */
export const FileDescriptor = z
  .object({
    id: z.string(),
    type: chatFileType,
    name: z.string().nullish(),
    user_file_id: z.string().nullish(),
  })
  .openapi('FileDescriptor');

export const MessageFile = graphql(`fragment MessageFile on File @_unmask { databaseId name kind }`);

export const fileDescriptor = (file: ResultOf<typeof MessageFile>): z.input<typeof FileDescriptor> => ({
  id: file.databaseId,
  type: chatFileTypes[file.kind],
  name: file.name,
  user_file_id: file.databaseId,
});
