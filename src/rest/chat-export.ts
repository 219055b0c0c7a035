import { z } from '@hono/zod-openapi';
import type { ChatExportFormat } from '../modules/chat/export.service.ts';
import { download } from './download.ts';

const ExportedSession = z
  .object({
    id: z.uuid(),
    name: z.string().nullable(),
    agent: z.object({ id: z.int(), name: z.string() }),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
    messages: z
      .array(
        z.object({
          id: z.int(),
          parentId: z.int().nullable(),
          latestChildId: z.int().nullable(),
          role: z.enum(['SYSTEM', 'USER', 'ASSISTANT']),
          status: z.enum(['STREAMING', 'COMPLETE', 'STOPPED', 'FAILED', 'INTERRUPTED']),
          text: z.string(),
          reasoning: z.string().nullable(),
          model: z.string().nullable(),
          createdAt: z.iso.datetime(),
          citations: z.array(
            z.object({
              number: z.int(),
              documentId: z.string(),
              title: z.string().nullable(),
              link: z.string().nullable(),
            }),
          ),
          files: z.array(z.object({ id: z.uuid(), name: z.string() })),
        }),
      )
      .openapi({
        description: 'The whole tree, the empty root first; `latestChildId` leads along the current branch.',
      }),
  })
  .openapi('ExportedChatSession');

/** The JSON format of an export. */
export const ChatExport = z.array(ExportedSession).openapi('ChatExport');

const formats: Record<'json' | 'markdown', ChatExportFormat> = { json: 'JSON', markdown: 'MARKDOWN' };

export const chatExport = download({
  path: '/chat/export',
  tag: 'Chat',
  summary: 'Download one session, or all of one’s own, as JSON or Markdown, oldest first',
  twin: 'exportChatSession',
  permission: 'read:chat',
  query: z.object({
    format: z.enum(['json', 'markdown']).default('json').openapi({
      description: '`json` has the whole tree of every session, `markdown` its current branch, for people.',
    }),
    session_id: z.uuid().optional().openapi({
      description:
        'A session that the caller may read as their own; all of one’s own that are not deleted unless given.',
    }),
  }),
  content: { 'application/json': ChatExport, 'text/markdown': z.string() },
  open: ({ chatExports }, principal, { format, session_id }) =>
    chatExports.open(principal, { format: formats[format], sessionId: session_id }),
});
