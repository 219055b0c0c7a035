import type { Hono, Context as HonoContext } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { Viewer } from '../authz/principal.ts';
import type { Context } from '../context.ts';
import { reportedError } from '../error-report.ts';
import { AppError, credentialRefused, forbidden } from '../errors.ts';
import { graphqlDialect } from '../graphql/dialect.ts';
import { identityOf, MediaTypeError, queryOf, readBody } from './body.ts';
import type { Accept } from './credential.ts';
import type { Dialect, Failure } from './dialect.ts';
import { idempotently } from './idempotency.ts';
import { onyx } from './onyx/errors.ts';
import { type AnyRow, admit, type FileReply, type RowInput, readPart, rowRequirements, runRow } from './row.ts';
import { rows } from './rows.ts';
import { streamReply } from './stream.ts';

/** The principal of a request with its secret. `refused` is a credential that does not work. */
export interface Caller {
  viewer: Viewer | 'refused';
  secret: string | null;
}

export interface RouteOptions<Env extends object> {
  /** Throws RATE_LIMITED. */
  authenticate: (c: HonoContext<Env>, accept: Accept) => Promise<Caller>;
  /**
   * Sets the size limit of the body after authentication, based on the principal. Throws RATE_LIMITED, BAD_USER_INPUT.
   */
  admitBody: (c: HonoContext<Env>, viewer: Viewer | 'refused') => Promise<void>;
  /** Returns false for a request from a page of another origin. */
  fromOwnPage: (c: HonoContext<Env>) => boolean;
  context: (c: HonoContext<Env>, principal: Viewer) => Context;
  /** Validates every response against its documented schema. For tests: it costs as much as the endpoint itself. */
  checkReplies: boolean;
}

export const dialectOf = (row: AnyRow): Dialect => row.dialect ?? onyx;

/** Converts `{id}` to `:id`. */
const honoPath = (path: string): string => path.replaceAll(/\{(\w+)\}/g, ':$1');

/** The methods of a path: several patterns can match it, such as `/user/pats/scopes` and `/user/pats/{token_id}`. */
const shapes = rows.map((row) => ({
  method: row.method.toUpperCase(),
  open: rowRequirements(row).length === 0,
  shape: new RegExp(`^(/api)${dialectOf(row).atRoot ? '?' : ''}${row.path.replaceAll(/\{\w+\}/g, '[^/]+')}/?$`),
}));
const methodsOf = (path: string): string[] => [
  ...new Set(shapes.filter(({ shape }) => shape.test(path)).map(({ method }) => method)),
];

const openShapes = shapes.filter(({ open }) => open);

/** Returns whether a path can be called anonymously; its body is read before the sender is known. */
export const takesStrangers = (method: string, path: string): boolean =>
  openShapes.some((row) => row.method === method && row.shape.test(path));

/** The case-insensitive paths with their canonical spelling. */
const anyCase = rows.flatMap((row) => {
  if (!dialectOf(row).looseBodies) return [];
  const parts = `/api${row.path}`.split(/\{\w+\}/);
  return { parts, shape: new RegExp(`^${parts.map((part) => part.replaceAll('.', '\\.')).join('([^/]+)')}$`, 'i') };
});

/** Returns the canonical spelling of a path; parameters are unchanged. */
export function canonicalPath(path: string): string {
  if (!/[A-Z]/.test(path)) return path;
  for (const { parts, shape } of anyCase) {
    const match = shape.exec(path);
    if (match) return parts.map((part, index) => part + (match[index + 1] ?? '')).join('');
  }
  return path;
}

const segmentsOf = (path: string): string[] => path.toLowerCase().split('/').slice(1);

/** Returns the dialect for a path without an endpoint, which determines the format of the response. */
export function dialectAt(path: string): Dialect {
  const [root, first, second] = segmentsOf(path);
  if (root === 'graphql') return graphqlDialect;
  const near = root !== 'api' ? [] : rows.filter((row) => segmentsOf(row.path)[0] === first);
  const nearest = near.find((row) => segmentsOf(row.path)[1] === second);
  if (nearest) return dialectOf(nearest);
  const [dialect] = near.map(dialectOf);
  return dialect && !near.some((row) => dialectOf(row).atRoot) ? dialect : onyx;
}

/** Returns where an endpoint is served: under `/api` and, for Onyx clients, also at the root. */
const placesOf = (row: AnyRow): string[] => {
  const path = honoPath(row.path);
  return dialectOf(row).atRoot ? [`/api${path}`, path] : [`/api${path}`];
};

export function serveRows<Env extends object>(app: Hono<Env>, options: RouteOptions<Env>): void {
  for (const row of rows) app.on(row.method, placesOf(row), (c) => serve(row, c, options));
  const dialects = new Map(rows.flatMap((row) => placesOf(row).map((path) => [path, dialectOf(row)] as const)));
  for (const [path, dialect] of dialects)
    app.all(path, (c) => {
      c.header('Allow', methodsOf(c.req.path).join(', '));
      return replyWith(c, dialect.say(405, 'Method Not Allowed'));
    });
}

/** Writes a response: text when the body is a string, no body when it is undefined, otherwise JSON. */
export function replyWith(c: HonoContext, { status, body, headers = {} }: Failure): Response {
  for (const [name, value] of Object.entries(headers)) c.header(name, value);
  if (body === undefined) return c.body(null, status as ContentfulStatusCode);
  if (typeof body === 'string')
    return 'Content-Type' in headers
      ? c.body(body, status as ContentfulStatusCode)
      : c.text(body, status as ContentfulStatusCode);
  return c.json(body as object, status as ContentfulStatusCode);
}

/** Returns an error in the format of a dialect, with the time after which the caller may retry. */
export function replyWithError(c: HonoContext, dialect: Dialect, error: AppError): Response {
  if (error.details.retryAfter) c.header('Retry-After', String(error.details.retryAfter));
  return replyWith(c, dialect.failure(error));
}

async function serve<Env extends object>(
  row: AnyRow,
  c: HonoContext<Env>,
  options: RouteOptions<Env>,
): Promise<Response> {
  const dialect = dialectOf(row);
  let context: Context | undefined;
  let input: RowInput<unknown, unknown, unknown> | null = null;
  try {
    const { viewer, secret } = await options.authenticate(c, dialect.accept);
    // A public path ignores a credential that no longer works, since its caller may want a new one.
    const open = rowRequirements(row).length === 0;
    if (viewer === 'refused' && !open) throw credentialRefused();
    context = options.context(c, viewer === 'refused' ? null : viewer);
    admit(row, context);
    // Prevents login CSRF: a page of another origin must not sign its visitor in to an account that it controls.
    if (row.setsCookie && !options.fromOwnPage(c)) throw forbidden([], 'A page of another origin cannot do this.');
    if (row.gate && !(await row.gate.isOpen(context))) return replyWith(c, row.gate.refusal);
    await options.admitBody(c, viewer);
    const read = await readRequest(row, dialect, c);
    input = read;
    // A body can take minutes to arrive, and the credential may have been revoked meanwhile.
    if (context.principal && context.services.revocations.ended(context.principal)) throw credentialRefused();
    const run = async (context: Context) =>
      row.stream?.when(read) ? streamReply(row, row.stream, read, context) : reply(row, c, read, context, options);
    const key = c.req.header('idempotency-key');
    if (key === undefined || row.method !== 'post' || secret === null || context.principal === null)
      return await run(context);
    const { pathname, search } = new URL(c.req.url);
    const request = [pathname.replace(/^\/api\b|\/+$/g, ''), search, ...(await identityOf(c))];
    const invalid = (error: AppError) => new ShapeError(dialect.invalid(error), error.message);
    return await idempotently({ secret, key, request }, context, run, invalid);
  } catch (error) {
    const seen = reportedError(error);
    const failure = error instanceof ShapeError ? error.failure : failureOf(row, seen, input);
    if (seen.details.retryAfter) c.header('Retry-After', String(seen.details.retryAfter));
    if (context?.principal && seen.code === 'FORBIDDEN')
      context.services.audit.permissionRefused(context.principal, `${row.method.toUpperCase()} ${row.path}`);
    return replyWith(c, failure);
  }
}

/**
 * Returns the client's version of an error. An endpoint can change the message of an unavailable database, but not its
 * status.
 */
function failureOf(row: AnyRow, error: AppError, input: RowInput<unknown, unknown, unknown> | null): Failure {
  const usual = dialectOf(row).failure(error);
  const own = row.failure?.(error, input) ?? usual;
  return error.code === 'UNAVAILABLE' && own.status !== usual.status ? usual : own;
}

/** Executes an endpoint and writes its response. */
async function reply<Env extends object>(
  row: AnyRow,
  c: HonoContext<Env>,
  input: RowInput<unknown, unknown, unknown>,
  context: Context,
  { checkReplies }: RouteOptions<Env>,
): Promise<Response> {
  const { body, headers } = await runRow(row, input, context);
  const file = await row.download?.(body, context);
  if (file) return fileReply(c, file);
  if (checkReplies) row.reply.parse(body === undefined ? undefined : JSON.parse(JSON.stringify(body)));
  const empty = row.status === 204 || row.format === 'empty';
  return replyWith(c, { status: row.status ?? 200, body: empty ? undefined : body, ...(headers && { headers }) });
}

/** Returns the ASCII form of a file name for `filename`; `filename*` has the full name (RFC 6266). */
const plainName = (name: string): string => name.replace(/[^\w .()-]/g, '_');

const encodedName = (name: string): string =>
  encodeURIComponent(name).replace(/['()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);

/** Returns a file as an attachment, so that an uploaded file never runs as a page of this server. */
function fileReply(c: HonoContext, { bytes, fileName, mediaType, etag }: FileReply): Response {
  const tag = `"${etag}"`;
  const headers = { ETag: tag, 'Cache-Control': 'private, max-age=31536000, immutable' };
  const known = (c.req.header('if-none-match') ?? '').split(',').map((each) => each.trim().replace(/^W\//, ''));
  if (known.includes(tag) || known.includes('*')) return c.body(null, 304, headers);
  return c.body(bytes, 200, {
    ...headers,
    'Content-Type': mediaType,
    'Content-Disposition': `attachment; filename="${plainName(fileName)}"; filename*=UTF-8''${encodedName(fileName)}`,
    'Content-Security-Policy': "default-src 'none'; sandbox",
    'X-Content-Type-Options': 'nosniff',
  });
}

/** An invalid request; its response does not depend on the endpoint's own error mapping. */
class ShapeError extends AppError {
  constructor(
    readonly failure: Failure,
    message: string,
  ) {
    super('BAD_USER_INPUT', message);
  }
}

async function readRequest(
  row: AnyRow,
  dialect: Dialect,
  c: HonoContext,
): Promise<RowInput<unknown, unknown, unknown>> {
  try {
    const kinds = {
      form: row.form === true,
      files: row.form === 'files',
      loose: dialect.looseBodies,
      optional: row.optionalBody === true,
    };
    return {
      params: readPart(row.params, 'path', c.req.param()),
      query: readPart(row.query, 'query', queryOf(c)),
      body: row.body ? readPart(row.body, 'body', await readBody(c, kinds)) : undefined,
    };
  } catch (error) {
    if (error instanceof MediaTypeError) throw new ShapeError(dialect.say(415, error.message), error.message);
    if (error instanceof AppError) throw new ShapeError(row.invalid?.(error) ?? dialect.invalid(error), error.message);
    throw error;
  }
}
