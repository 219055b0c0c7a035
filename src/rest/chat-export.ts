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
        description:
          'The whole message tree, oldest first, starting with the empty root message. `latestChildId` leads along the current branch.',
      }),
  })
  .openapi('ExportedChatSession');

/** The JSON format of an export. */
export const ChatExport = z.array(ExportedSession).openapi('ChatExport');

const formats: Record<'json' | 'markdown', ChatExportFormat> = { json: 'JSON', markdown: 'MARKDOWN' };

export const chatExport = download({
  path: '/chat/export',
  tag: 'Chat',
  summary: 'Download one session or all sessions of the caller as JSON or Markdown, oldest first',
  twin: 'exportChatSession',
  permission: 'read:chat',
  query: z.object({
    format: z.enum(['json', 'markdown']).default('json').openapi({
      description:
        'The format of the file. `json` contains the whole message tree of every session; `markdown` contains only the current branch, as readable text. Defaults to `json`.',
    }),
    session_id: z.uuid().optional().openapi({
      description:
        'The session to export, which the caller must be able to read as their own. Defaults to all sessions of the caller that are not deleted.',
    }),
  }),
  content: { 'application/json': ChatExport, 'text/markdown': z.string() },
  open: ({ chatExports }, principal, { format, session_id }) =>
    chatExports.open(principal, { format: formats[format], sessionId: session_id }),
});
