import { stringify } from 'csv-stringify/sync';
import type { AuditEvent } from '../../generated/prisma/client.ts';

const columns = [
  'id',
  'at',
  'action',
  'actor_id',
  'actor_name',
  'token_id',
  'address',
  'user_agent',
  'target_type',
  'target_id',
  'detail',
] as const;

type Line = Record<(typeof columns)[number], unknown>;

const line = (event: AuditEvent): Line => ({
  id: Number(event.id),
  at: event.at.toISOString(),
  action: event.action,
  actor_id: event.actorId,
  actor_name: event.actorName,
  token_id: event.tokenId,
  address: event.address,
  user_agent: event.userAgent,
  target_type: event.targetType,
  target_id: event.targetId,
  detail: event.detail,
});

export type ExportFormat = 'csv' | 'jsonl';

export const exportTypes: Record<ExportFormat, string> = {
  csv: 'text/csv',
  jsonl: 'application/jsonl',
};

/**
 * Formats the audit trail as RFC 4180 CSV with a header, or as one JSON object per line. In CSV, `detail` is JSON, and
 * a cell that a spreadsheet would read as a formula is prefixed with an apostrophe.
 */
export async function* exportText(pages: AsyncIterable<AuditEvent[]>, format: ExportFormat): AsyncGenerator<string> {
  if (format === 'csv') yield stringify([[...columns]]);
  for await (const events of pages) {
    const lines = events.map(line);
    yield format === 'csv'
      ? stringify(
          lines.map((cells) => ({ ...cells, detail: JSON.stringify(cells.detail) })),
          { columns: [...columns], escape_formulas: true },
        )
      : lines.map((object) => `${JSON.stringify(object)}\n`).join('');
  }
}
