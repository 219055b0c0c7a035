import type { Hono, Context as HonoContext } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { Viewer } from '../authz/principal.ts';
import type { Context } from '../context.ts';
import { AppError, badInput, unauthenticated } from '../errors.ts';
import { parseJson } from '../json.ts';
import { onyxFailure, onyxInvalid } from './onyx/errors.ts';
import { type AnyRow, admit, type Failure, type RowInput, readPart, runRow } from './row.ts';
import { rows } from './rows.ts';
import { streamReply } from './stream.ts';

export interface RouteOptions<Env extends object> {
  /** Who calls, or `refused` for a credential that opens nothing. */
  authenticate: (c: HonoContext<Env>) => Promise<Viewer | 'refused'>;
  context: (c: HonoContext<Env>, principal: Viewer) => Context;
  /** Whether every reply is held against the row's documented shape. For tests: it costs as much as the row. */
  checkReplies: boolean;
}

/** `{id}` to `:id`. */
const honoPath = (path: string): string => path.replaceAll(/\{(\w+)\}/g, ':$1');

/** Which methods a path has: several patterns can match it, such as `/user/pats/scopes` and `/user/pats/{token_id}`. */
const shapes = rows.map(({ method, path }) => ({
  method: method.toUpperCase(),
  shape: new RegExp(`^(/api)?${path.replaceAll(/\{\w+\}/g, '[^/]+')}/?$`),
}));
const methodsOf = (path: string): string[] => [
  ...new Set(shapes.filter(({ shape }) => shape.test(path)).map(({ method }) => method)),
];

/** Serves every row under `/api` and, since Onyx clients call both, at the root. */
export function serveRows<Env extends object>(app: Hono<Env>, options: RouteOptions<Env>): void {
  for (const row of rows) {
    const path = honoPath(row.path);
    app.on(row.method, [`/api${path}`, path], (c) => serve(row, c, options));
  }
  for (const path of new Set(rows.map((row) => honoPath(row.path)))) {
    app.all(`/api${path}`, methodNotAllowed);
    app.all(path, methodNotAllowed);
  }
}

const methodNotAllowed = (c: HonoContext) => {
  c.header('Allow', methodsOf(c.req.path).join(', '));
  return c.json({ detail: 'Method Not Allowed' }, 405);
};

async function serve<Env extends object>(
  row: AnyRow,
  c: HonoContext<Env>,
  options: RouteOptions<Env>,
): Promise<Response> {
  let context: Context | undefined;
  let input: RowInput<unknown, unknown, unknown> | null = null;
  try {
    const principal = await options.authenticate(c);
    if (principal === 'refused') throw unauthenticated();
    context = options.context(c, principal);
    admit(row, context);
    input = await readRequest(row, c);
    if (row.stream?.when(input)) return await streamReply(row, row.stream, input, context);
    const reply = await runRow(row, input, context);
    if (options.checkReplies) row.reply.parse(JSON.parse(JSON.stringify(reply)));
    return c.json(reply as object);
  } catch (error) {
    const seen = asAppError(error, context);
    const failure = error instanceof ShapeError ? error.failure : (row.failure?.(seen, input) ?? onyxFailure(seen));
    if (seen.code === 'RATE_LIMITED' && seen.details.retryAfter)
      c.header('Retry-After', String(seen.details.retryAfter));
    if (context?.principal && seen.code === 'FORBIDDEN')
      context.services.audit.permissionRefused(context.principal, `${row.method.toUpperCase()} ${row.path}`);
    return c.json(failure.body as object, failure.status as ContentfulStatusCode);
  }
}

/** A request that does not have the shape the row documents: its reply is fixed, whatever the row. */
class ShapeError extends AppError {
  constructor(
    readonly failure: Failure,
    message: string,
  ) {
    super('BAD_USER_INPUT', message);
  }
}

async function readRequest(row: AnyRow, c: HonoContext): Promise<RowInput<unknown, unknown, unknown>> {
  try {
    return {
      params: readPart(row.params, 'path', c.req.param()),
      query: readPart(row.query, 'query', queryOf(c)),
      body: row.body ? readPart(row.body, 'body', await readJson(c)) : undefined,
    };
  } catch (error) {
    if (error instanceof AppError && !(error instanceof ShapeError))
      throw new ShapeError(onyxInvalid(error), error.message);
    throw error;
  }
}

/** Query parameters; one that is repeated is a list. */
export const queryOf = (c: HonoContext): Record<string, string | string[]> =>
  Object.fromEntries(
    Object.entries(c.req.queries()).map(([name, values]) => [name, values.length > 1 ? values : (values[0] ?? '')]),
  );

async function readJson(c: HonoContext): Promise<unknown> {
  const type = c.req.header('content-type') ?? '';
  if (type !== '' && !/^application\/([\w.+-]+\+)?json\s*(;|$)/i.test(type)) {
    const text = `Unsupported Media Type: ${type.slice(0, 100)}; send application/json`;
    throw new ShapeError({ status: 415, body: { detail: text } }, text);
  }
  const bytes = await c.req.arrayBuffer().catch(() => {
    throw badInput(['body'], 'broke off');
  });
  return parseJson(bytes);
}

/** What a caller may see of an error: an AppError, or a masked one whose cause is logged under the request's id. */
export function asAppError(error: unknown, context: Context | undefined): AppError {
  if (error instanceof AppError) return error;
  context?.log.error({ error }, 'unexpected error');
  return new AppError('INTERNAL', `Internal server error. Request id: ${context?.requestId ?? 'unknown'}`);
}
