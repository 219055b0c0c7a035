import type { Hono, Context as HonoContext } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { Viewer } from '../authz/principal.ts';
import type { Context } from '../context.ts';
import { reportedError } from '../error-report.ts';
import { AppError, denied, invalidCredential } from '../errors.ts';
import { graphqlDialect } from '../graphql/dialect.ts';
import type { VisitorsService } from '../modules/widgets/visitors.service.ts';
import { widgetCors } from './anythingllm/widget-cors.ts';
import { identityOf, MediaTypeError, queryOf, readBody } from './body.ts';
import type { CredentialLocation } from './credential.ts';
import { type Dialect, type Failure, failureFor } from './dialect.ts';
import {
  type AnyEndpoint,
  admit,
  type EndpointInput,
  endpointRequirements,
  executeEndpoint,
  type FileReply,
  readPart,
} from './endpoint.ts';
import { endpoints } from './endpoints.ts';
import { idempotently } from './idempotency.ts';
import { onyx } from './onyx/errors.ts';
import { streamReply } from './stream.ts';

/** The principal of a request with its secret. `refused` is a credential that does not work. */
export interface Caller {
  viewer: Viewer | 'refused';
  secret: string | null;
}

export interface RouteOptions<Env extends object> {
  /** Throws RATE_LIMITED. */
  authenticate: (c: HonoContext<Env>, location: CredentialLocation) => Promise<Caller>;
  /**
   * Sets the size limit of the body after authentication, based on the principal. Throws RATE_LIMITED, BAD_USER_INPUT.
   */
  admitBody: (c: HonoContext<Env>, viewer: Viewer | 'refused') => Promise<void>;
  /** Returns false for a request from a page of another origin. */
  fromOwnPage: (c: HonoContext<Env>) => boolean;
  context: (c: HonoContext<Env>, principal: Viewer) => Context;
  scopeOf: (c: HonoContext<Env>) => Context['scope'];
}

export const dialectOf = (endpoint: AnyEndpoint): Dialect => endpoint.dialect ?? onyx;

/** Converts `{id}` to `:id`. */
const honoPath = (path: string): string => path.replaceAll(/\{(\w+)\}/g, ':$1');

/** The methods of a path: several patterns can match it, such as `/user/pats/scopes` and `/user/pats/{token_id}`. */
const shapes = endpoints.map((endpoint) => ({
  method: endpoint.method.toUpperCase(),
  open: endpointRequirements(endpoint).length === 0,
  shape: new RegExp(
    `^(/api)${dialectOf(endpoint).atRoot ? '?' : ''}${endpoint.path.replaceAll(/\{\w+\}/g, '[^/]+')}/?$`,
  ),
}));
const methodsOf = (path: string): string[] => [
  ...new Set(shapes.filter(({ shape }) => shape.test(path)).map(({ method }) => method)),
];

const openShapes = shapes.filter(({ open }) => open);

/** Returns whether a path can be called anonymously; its body is read before the sender is known. */
export const takesStrangers = (method: string, path: string): boolean =>
  openShapes.some((endpoint) => endpoint.method === method && endpoint.shape.test(path));

/** The case-insensitive paths with their canonical spelling. */
const anyCase = endpoints.flatMap((endpoint) => {
  if (!dialectOf(endpoint).looseBodies) return [];
  const parts = `/api${endpoint.path}`.split(/\{\w+\}/);
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
  const segments = segmentsOf(path);
  if (segments[0] === 'graphql') return graphqlDialect;
  const isAtRoot = segments[0] !== 'api';
  const [first, second] = isAtRoot ? segments : segments.slice(1);
  const near = endpoints.filter(
    (endpoint) => segmentsOf(endpoint.path)[0] === first && (!isAtRoot || dialectOf(endpoint).atRoot),
  );
  const nearest = near.find((endpoint) => segmentsOf(endpoint.path)[1] === second);
  if (nearest) return dialectOf(nearest);
  const [dialect] = near.map(dialectOf);
  return dialect && !near.some((endpoint) => dialectOf(endpoint).atRoot) ? dialect : onyx;
}

/** Returns where an endpoint is served: under `/api` and, for Onyx clients, also at the root. */
const placesOf = (endpoint: AnyEndpoint): string[] => {
  const path = honoPath(endpoint.path);
  return dialectOf(endpoint).atRoot ? [`/api${path}`, path] : [`/api${path}`];
};

/** Lets pages on the allowlist of a chat widget read its responses (CORS). */
export const allowWidgetOrigins = <Env extends object>(app: Hono<Env>, { mayShow }: Pick<VisitorsService, 'mayShow'>) =>
  app.use('/api/embed/*', widgetCors(mayShow));

export function serveEndpoints<Env extends object>(app: Hono<Env>, options: RouteOptions<Env>): void {
  for (const endpoint of endpoints) app.on(endpoint.method, placesOf(endpoint), (c) => serve(endpoint, c, options));
  const dialects = new Map(
    endpoints.flatMap((endpoint) => placesOf(endpoint).map((path) => [path, dialectOf(endpoint)] as const)),
  );
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
  endpoint: AnyEndpoint,
  c: HonoContext<Env>,
  options: RouteOptions<Env>,
): Promise<Response> {
  const dialect = dialectOf(endpoint);
  let context: Context | undefined;
  let input: EndpointInput<unknown, unknown, unknown> | null = null;
  try {
    const { viewer, secret } = await options.authenticate(c, dialect.credential);
    // A public path ignores a credential that no longer works, since its caller may want a new one.
    const open = endpointRequirements(endpoint).length === 0;
    if (viewer === 'refused' && !open) throw invalidCredential();
    context = options.context(c, viewer === 'refused' ? null : viewer);
    admit(endpoint, context);
    // Prevents login CSRF: a page of another origin must not sign its visitor in to an account that it controls.
    if (endpoint.setsCookie && !options.fromOwnPage(c))
      throw denied('CROSS_ORIGIN_REQUEST', 'A page of another origin cannot do this.');
    if (endpoint.gate && !(await endpoint.gate.isOpen(context))) return replyWith(c, endpoint.gate.refusal);
    await options.admitBody(c, viewer);
    const read = await readRequest(endpoint, dialect, c);
    input = read;
    // A body can take minutes to arrive, and the credential may have been revoked meanwhile.
    if (context.principal && context.services.revocations.ended(context.principal)) throw invalidCredential();
    const run = async (context: Context) =>
      endpoint.stream && (endpoint.stream.when?.(read) ?? true)
        ? streamReply(endpoint, endpoint.stream, read, context)
        : reply(endpoint, c, read, context);
    const key = c.req.header('idempotency-key');
    if (key === undefined || endpoint.method !== 'post' || secret === null || context.principal === null)
      return await run(context);
    const { pathname, search } = new URL(c.req.url);
    const request = [pathname.replace(/^\/api\b|\/+$/g, ''), search, ...(await identityOf(c))];
    const invalid = (error: AppError) => new ShapeError(dialect.invalid(error), error.message);
    return await idempotently({ secret, key, request }, context, run, invalid);
  } catch (error) {
    const seen = reportedError(error, options.scopeOf(c));
    const failure = error instanceof ShapeError ? error.failure : failureFor(dialect, endpoint, seen, input);
    if (seen.details.retryAfter) c.header('Retry-After', String(seen.details.retryAfter));
    if (context?.principal && seen.code === 'FORBIDDEN')
      context.services.audit.permissionRefused(context.principal, `${endpoint.method.toUpperCase()} ${endpoint.path}`);
    return replyWith(c, failure);
  }
}

/** Executes an endpoint and writes its response. */
async function reply(
  endpoint: AnyEndpoint,
  c: HonoContext,
  input: EndpointInput<unknown, unknown, unknown>,
  context: Context,
): Promise<Response> {
  const { body, headers } = await executeEndpoint(endpoint, input, context);
  const file = await endpoint.download?.(body, context);
  if (file) return fileReply(c, file, hasEntityTag(endpoint));
  const empty = endpoint.status === 204 || endpoint.format === 'empty';
  return replyWith(c, { status: endpoint.status ?? 200, body: empty ? undefined : body, ...(headers && { headers }) });
}

/** Returns the ASCII form of a file name for `filename`; `filename*` has the full name (RFC 6266). */
const plainName = (name: string): string => name.replace(/[^\w .()-]/g, '_');

const encodedName = (name: string): string =>
  encodeURIComponent(name).replace(/['()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);

/** Returns whether the response of an endpoint is a file that clients can store and revalidate. */
export const hasEntityTag = (endpoint: AnyEndpoint): boolean =>
  endpoint.download !== undefined && endpoint.method === 'get';

/**
 * Returns a file as an attachment, so that an uploaded file never runs as a page of this server. Returns 304 for a
 * tagged file that the client has.
 */
function fileReply(c: HonoContext, { bytes, fileName, mediaType, etag }: FileReply, isTagged: boolean): Response {
  const tag = `"${etag}"`;
  const headers: Record<string, string> = isTagged
    ? { ETag: tag, 'Cache-Control': 'private, max-age=31536000, immutable' }
    : {};
  const known = (c.req.header('if-none-match') ?? '').split(',').map((each) => each.trim().replace(/^W\//, ''));
  if (isTagged && (known.includes(tag) || known.includes('*'))) return c.body(null, 304, headers);
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
    super('BAD_USER_INPUT', 'INVALID_INPUT', message);
  }
}

async function readRequest(
  endpoint: AnyEndpoint,
  dialect: Dialect,
  c: HonoContext,
): Promise<EndpointInput<unknown, unknown, unknown>> {
  try {
    const kinds = {
      form: endpoint.form === true,
      files: endpoint.form === 'files',
      loose: dialect.looseBodies,
      optional: endpoint.optionalBody === true,
    };
    return {
      params: readPart(endpoint.params, 'path', c.req.param()),
      query: readPart(endpoint.query, 'query', queryOf(c)),
      body: endpoint.body ? readPart(endpoint.body, 'body', await readBody(c, kinds)) : undefined,
    };
  } catch (error) {
    if (error instanceof MediaTypeError) throw new ShapeError(dialect.say(415, error.message), error.message);
    if (error instanceof AppError)
      throw new ShapeError(endpoint.invalid?.(error) ?? dialect.invalid(error), error.message);
    throw error;
  }
}
