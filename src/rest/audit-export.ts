import { z } from '@hono/zod-openapi';
import type { AuditFilter } from '../modules/audit/audit.service.ts';
import { exportText, exportTypes } from '../modules/audit/export.ts';
import { download } from './download.ts';
import { id } from './shapes.ts';

const moment = z.iso
  .datetime({ offset: true })
  .refine((text) => !text.startsWith('0000'), 'must be in the years 1 to 9999')
  .transform((text) => new Date(text))
  .openapi({ type: 'string', format: 'date-time' });
const list = z.union([z.string().transform((one) => [one]), z.array(z.string())]);

/** The parameters of the export: its format, and the filter of the query `auditEvents`. */
const AuditExportQuery = z.object({
  format: z.enum(['csv', 'jsonl']).default('jsonl'),
  action: list
    .optional()
    .openapi({ description: 'Returns only events with this action. Can be repeated to select several actions.' }),
  actor_id: z.uuid().optional(),
  token_id: id.optional(),
  target_type: z.string().max(100).optional(),
  target_id: z.string().max(500).optional(),
  address: z.string().max(100).optional(),
  since: moment.optional(),
  until: moment.optional(),
});

export const auditExport = download({
  path: '/admin/audit-events/export',
  tag: 'Audit',
  summary: 'Download the audit trail as CSV or JSON lines, oldest first',
  twin: 'auditEvents',
  permission: 'read:audit',
  query: AuditExportQuery,
  content: { 'application/jsonl': z.string(), 'text/csv': z.string() },
  open: async ({ audit }, _principal, query) => {
    const { format, action, actor_id, token_id, target_type, target_id, ...rest } = query;
    const filter: AuditFilter = {
      ...rest,
      actions: action as AuditFilter['actions'],
      actorId: actor_id,
      tokenId: token_id,
      targetType: target_type,
      targetId: target_id,
    };
    const text = exportText(audit.export(filter), format);
    return { fileName: `audit-events.${format}`, mediaType: exportTypes[format], text };
  },
});
