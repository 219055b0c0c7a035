import { z } from '@hono/zod-openapi';
import type { Hono } from 'hono';
import { demand } from '../authz/principal.ts';
import type { Context } from '../context.ts';
import { credentialRefused } from '../errors.ts';
import type { AuditFilter } from '../modules/audit/audit.service.ts';
import { exportText, exportTypes } from '../modules/audit/export.ts';
import { queryOf } from './body.ts';
import { onyxFailure, onyxInvalid } from './onyx/errors.ts';
import { id } from './onyx/shapes.ts';
import { type RouteOptions, replyWith } from './routes.ts';
import { asAppError, readPart } from './row.ts';
import { textStream } from './stream.ts';

const moment = z.iso
  .datetime({ offset: true })
  .refine((text) => !text.startsWith('0000'), 'must be in the years 1 to 9999')
  .transform((text) => new Date(text))
  .openapi({ type: 'string', format: 'date-time' });
const list = z.union([z.string().transform((one) => [one]), z.array(z.string())]);

/** The parameters of the export: its form, and the filter of the query `auditEvents`. */
export const AuditExportQuery = z.object({
  format: z.enum(['csv', 'jsonl']).default('jsonl'),
  action: list.optional().openapi({ description: 'One of these; can be repeated.' }),
  actor_id: z.uuid().optional(),
  token_id: id.optional(),
  target_type: z.string().max(100).optional(),
  target_id: z.string().max(500).optional(),
  address: z.string().max(100).optional(),
  since: moment.optional(),
  until: moment.optional(),
});

export const auditExportPath = '/admin/audit-events/export';

/** A text for as long as its reader's credential lives; broken off when it dies, so that nobody takes it for the whole. */
async function* whileAlive(
  text: AsyncGenerator<string>,
  watch: { signal: AbortSignal; done(): void },
): AsyncGenerator<string> {
  try {
    for await (const part of text) {
      if (watch.signal.aborted) throw credentialRefused();
      yield part;
    }
  } finally {
    watch.done();
  }
}

/** A download, and so no row: the trail is streamed from the database, however long it is. */
export function serveAuditExport<Env extends object>(
  app: Hono<Env>,
  options: Omit<RouteOptions<Env>, 'checkReplies'>,
): void {
  app.get(`/api${auditExportPath}`, async (c) => {
    let context: Context | undefined;
    try {
      const { viewer } = await options.authenticate(c, 'onyx');
      if (viewer === 'refused') throw credentialRefused();
      context = options.context(c, viewer);
      const principal = demand(viewer, 'read:audit');
      const { format, action, actor_id, token_id, target_type, target_id, ...rest } = readPart(
        AuditExportQuery,
        'query',
        queryOf(c),
      );
      const filter: AuditFilter = {
        ...rest,
        actions: action as AuditFilter['actions'],
        actorId: actor_id,
        tokenId: token_id,
        targetType: target_type,
        targetId: target_id,
      };
      const { audit, revocations } = context.services;
      const watch = revocations.watch(principal);
      const text = whileAlive(exportText(audit.export(filter), format), watch);
      const onError = (error: unknown) => {
        asAppError(error, context);
        // Broken off and not ended, or a part would pass for the whole.
        (c.env as { outgoing?: { destroy(): void } } | undefined)?.outgoing?.destroy();
      };
      return new Response(textStream(text, { onError }), {
        headers: {
          'Content-Type': exportTypes[format],
          'Content-Disposition': `attachment; filename="audit-events.${format}"`,
          'Cache-Control': 'no-store',
        },
      });
    } catch (error) {
      const seen = asAppError(error, context);
      if (context?.principal && seen.code === 'FORBIDDEN')
        context.services.audit.permissionRefused(context.principal, `GET ${auditExportPath}`);
      return replyWith(c, seen.code === 'BAD_USER_INPUT' ? onyxInvalid(seen) : onyxFailure(seen));
    }
  });
}
