import type { Hono, Context as HonoContext } from 'hono';
import { demand } from '../authz/principal.ts';
import type { Context } from '../context.ts';
import { reportedError } from '../error-report.ts';
import { invalidCredential } from '../errors.ts';
import { auditExport } from './audit-export.ts';
import { queryOf } from './body.ts';
import { chatExport } from './chat-export.ts';
import type { AnyDownload } from './download.ts';
import { readPart } from './endpoint.ts';
import { onyx, onyxFailure, onyxInvalid } from './onyx/errors.ts';
import { type RouteOptions, replyWith } from './routes.ts';
import { textStream } from './stream.ts';

/** All downloads, served under `/api` only. */
export const downloads: readonly AnyDownload[] = [auditExport, chatExport];

export function serveDownloads<Env extends object>(app: Hono<Env>, options: RouteOptions<Env>): void {
  for (const download of downloads) app.get(`/api${download.path}`, (c) => serve(download, c, options));
}

/**
 * Yields a text while its reader's credential works. Breaks off when it ends, so that the text is not taken for
 * complete.
 */
async function* whileAlive(
  text: AsyncGenerator<string>,
  watch: { signal: AbortSignal; done(): void },
): AsyncGenerator<string> {
  try {
    for await (const part of text) {
      if (watch.signal.aborted) throw invalidCredential();
      yield part;
    }
  } finally {
    watch.done();
  }
}

async function serve<Env extends object>(
  download: AnyDownload,
  c: HonoContext<Env>,
  options: RouteOptions<Env>,
): Promise<Response> {
  let context: Context | undefined;
  try {
    const { viewer } = await options.authenticate(c, onyx.credential);
    if (viewer === 'refused') throw invalidCredential();
    const reading = options.context(c, viewer);
    context = reading;
    const principal = demand(viewer, download.permission);
    const query = readPart(download.query, 'query', queryOf(c));
    const { fileName, mediaType, text } = await download.open(reading.services, principal, query);
    const headers = {
      'Content-Type': `${mediaType}; charset=utf-8`,
      'Content-Disposition': `attachment; filename="${fileName}"`,
      'Cache-Control': 'no-store',
    };
    // The text of a HEAD request is never read, so its watch would never end.
    if (c.req.method === 'HEAD') return new Response(null, { headers });
    const alive = whileAlive(text, reading.services.revocations.watch(principal));
    const onError = (error: unknown) => {
      reportedError(error, reading.scope);
      // Destroyed instead of ended, so that a partial file does not look complete.
      (c.env as { outgoing?: { destroy(): void } } | undefined)?.outgoing?.destroy();
    };
    return new Response(textStream(alive, { onError }), { headers });
  } catch (error) {
    const seen = reportedError(error, options.scopeOf(c));
    if (seen.details.retryAfter) c.header('Retry-After', String(seen.details.retryAfter));
    if (context?.principal && seen.code === 'FORBIDDEN')
      context.services.audit.permissionRefused(context.principal, `GET ${download.path}`);
    return replyWith(c, seen.code === 'BAD_USER_INPUT' ? onyxInvalid(seen) : onyxFailure(seen));
  }
}
