import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { join } from 'node:path';
import type { HttpBindings } from '@hono/node-server';
import { Hono, type Context as HonoContext } from 'hono';
import { cors } from 'hono/cors';
import { HTTPException } from 'hono/http-exception';
import { matchedRoutes } from 'hono/route';
import { secureHeaders } from 'hono/secure-headers';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { getPathNoStrict } from 'hono/utils/url';
import { type Client, can, type Viewer } from './authz/principal.ts';
import { mentionsSecret } from './authz/secret.ts';
import { Budget } from './budget.ts';
import type { Context } from './context.ts';
import { reportedError } from './error-report.ts';
import { forbidden, invalidCredential, unauthenticated } from './errors.ts';
import { uploadPermissions } from './graphql/upload-permissions.ts';
import { createWebSockets, type WebSockets } from './graphql/websocket.ts';
import { createGraphQLServer } from './graphql/yoga.ts';
import { noteRequest, noteToken } from './http/access-log.ts';
import { type NotReady, serveHealth } from './http/health.ts';
import { createHostCheck, type HostRequest } from './http/host-check.ts';
import { multipart } from './http/multipart.ts';
import { type BodyFailure, createRequestBodies, maxBody, type RequestBody } from './http/request-bodies.ts';
import { requestIdOf } from './http/request-id.ts';
import { currentRequest, type Log } from './log.ts';
import { createMetrics } from './metrics.ts';
import { pagePolicy, servePages } from './pages/pages.ts';
import { maxCompleteList, maxPage } from './paging.ts';
import { projectRoot } from './project-root.ts';
import { widgetCors } from './rest/anythingllm/widget-cors.ts';
import { type Accept, credentialOf, sessionOf } from './rest/credential.ts';
import { serveDownloads } from './rest/downloads.ts';
import { coded, onyx, onyxFailure } from './rest/onyx/errors.ts';
import {
  type Caller,
  canonicalPath,
  dialectAt,
  replyWith,
  replyWithError,
  serveEndpoints,
  takesStrangers,
} from './rest/routes.ts';
import type { Foundation, Services } from './services.ts';

/**
 * Limits on the objects and characters that one operation resolves, regardless of its estimate. REST paths whose
 * contracts have no pages return all rows of a list in one response.
 */
const graphqlBudget = { nodes: 10_000, text: 40_000_000 };
const restBudget = { nodes: 250_000, text: 250_000_000 };

/** Clients of the compatible paths warn below 3.0.0: the version of that API, not of this server. */
const apiVersion = '4.6.1';

interface Env {
  Bindings: Partial<HttpBindings>;
  Variables: { requestId: string; log: Log; body?: RequestBody };
}

export interface ServerOptions extends Pick<Foundation, 'settings' | 'db' | 'log'> {
  services: Services;
  /** Why the server takes no requests now; null when it does. Defaults to null. */
  notReady?: () => Promise<NotReady | null>;
  /** Validates every REST response against its documented schema. */
  checkReplies?: boolean;
}

export interface LatchkeyServer {
  fetch: Hono<Env>['fetch'];
  sockets: WebSockets;
}

/**
 * Creates the whole server as one `fetch`: GraphQL, the REST endpoints under `/api` and at the root, and the pages, and
 * the GraphQL over WebSocket endpoint.
 */
export function createServer({
  settings,
  db,
  log,
  services,
  notReady = async () => null,
  checkReplies = false,
}: ServerOptions): LatchkeyServer {
  const app = new Hono<Env>({ getPath: (request) => canonicalPath(getPathNoStrict(request)) });
  const metrics = createMetrics(() => services.turnQueue.waiting);
  const yoga = createGraphQLServer(settings, metrics);

  /**
   * Returns the client's address from X-Forwarded-For. Entries before those of the trusted proxies are written by the
   * client and are ignored.
   */
  function forwardedFor(headers: Headers): string | null {
    if (settings.trustedProxies === 0) return null;
    const address = headers.get('x-forwarded-for')?.split(',').at(-settings.trustedProxies)?.trim();
    return address && isIP(address) ? address : null;
  }

  const clientBehind = (headers: Headers, remoteAddress: string | undefined): Client => ({
    address: forwardedFor(headers) ?? remoteAddress ?? null,
    userAgent: headers.get('user-agent'),
    origin: headers.get('origin'),
  });
  /** The request as Node has it; absent when `fetch` is called without a connection. */
  const incomingOf = (c: HonoContext<Env>): IncomingMessage | undefined =>
    c.env?.incoming as IncomingMessage | undefined;
  const clientOf = (c: HonoContext<Env>): Client =>
    clientBehind(c.req.raw.headers, c.env?.incoming?.socket?.remoteAddress);

  const trustedHosts = new Set(
    [settings.publicUrl, ...settings.corsOrigins].filter((origin) => origin !== '*').map(hostOf),
  );

  /** Returns whether a request comes from a page of this server, from an origin in the settings, or not from a page. */
  function fromOwnPage(headers: Headers): boolean {
    const origin = headers.get('origin');
    return origin === null || hostOf(origin) === headers.get('host') || trustedHosts.has(hostOf(origin));
  }

  /**
   * Returns the principal of a session cookie. Browsers send cookies with requests of any page: an expired session
   * counts as no credential, and so does a cookie in a request from another origin.
   */
  async function cookieHolder(headers: Headers, client: Client): Promise<Caller | null> {
    const secret = sessionOf(headers);
    if (secret === null || !fromOwnPage(headers)) return null;
    const viewer = await services.credentials.authenticate(secret, client);
    return viewer && { viewer, secret };
  }

  /**
   * Identifies the principal of a request. On the Onyx paths, a valid cookie takes precedence over a header (contract
   * 1.1); elsewhere the header does.
   */
  async function identify(headers: Headers, client: Client, accept: Accept): Promise<Caller> {
    const secret = credentialOf(headers, accept);
    const caller =
      accept === 'onyx' || (accept === 'bearer' && secret === null) ? await cookieHolder(headers, client) : null;
    if (caller !== null) return caller;
    const viewer = secret === null ? null : await services.credentials.authenticate(secret, client);
    return { viewer: secret === null ? null : (viewer ?? 'refused'), secret };
  }

  /** Identifies the principal and counts the request. Throws RATE_LIMITED. */
  async function admit(headers: Headers, client: Client, accept: Accept, incoming?: IncomingMessage): Promise<Caller> {
    const caller = await identify(headers, client, accept);
    if (caller.viewer === null || caller.viewer === 'refused') return caller;
    noteToken(incoming, caller.viewer.credential.tokenId);
    await services.limits.admitRequest(caller.viewer);
    return caller;
  }

  const authenticate = (c: HonoContext<Env>, accept: Accept): Promise<Caller> =>
    admit(c.req.raw.headers, clientOf(c), accept, incomingOf(c));

  const contextWith = (request: Omit<Context, 'services' | 'db' | 'budget'>): Context => ({
    ...request,
    services,
    db,
    budget: new Budget(
      { ...(request.pageLimit === maxPage ? graphqlBudget : restBudget), deadline: settings.operationMs },
      metrics.stopped,
    ),
  });
  const contextOf = (c: HonoContext<Env>, principal: Viewer, pageLimit: number): Context =>
    contextWith({
      principal,
      client: clientOf(c),
      log: c.var.log,
      requestId: c.var.requestId,
      signal: c.req.raw.signal,
      pageLimit,
    });

  app.use(async (c, next) => {
    const requestId = requestIdOf(c.req.raw.headers);
    const requestLog = log.child({ requestId });
    noteRequest(incomingOf(c), { requestId, client: clientOf(c).address, tokenId: null });
    c.set('requestId', requestId);
    c.set('log', requestLog);
    await currentRequest.run({ requestId, log: requestLog }, next);
    c.res.headers.set('X-Request-Id', requestId);
    metrics.request(c.req.method, routeOf(c), c.res.status);
  });
  const secured = secureHeaders({
    contentSecurityPolicy: pagePolicy,
    crossOriginResourcePolicy: false,
    strictTransportSecurity: false,
    xFrameOptions: 'DENY',
    referrerPolicy: 'no-referrer',
  });
  app.use(async (c, next) => {
    let own: string | null = null;
    await secured(c, async () => {
      await next();
      own = c.res.headers.get('content-security-policy');
    });
    // The policy of an uploaded file is stricter than that of a page.
    if (own !== null) c.res.headers.set('content-security-policy', own);
  });
  const hostRefusal = createHostCheck(settings.publicUrl, settings.allowedHosts);
  app.use(async (c, next) => {
    const refusal = hostRefusal(c.env?.incoming ?? withoutConnection(c.req.raw));
    if (refusal === null) return next();
    const { status, detail } = refusal;
    return replyWith(c, dialectAt(c.req.path).say(status, detail));
  });
  app.use('/api/embed/*', widgetCors(services.visitors.mayShow));
  if (settings.corsOrigins.length > 0)
    app.use(
      cors({
        origin: settings.corsOrigins.includes('*') ? '*' : settings.corsOrigins,
        // The headers that browsers request are allowed: they grant no access that other clients do not have.
        exposeHeaders: ['X-Request-Id', 'Retry-After'],
      }),
    );
  // URLs end up in histories, logs and referrers: a request with a secret in its URL is rejected first.
  const refusedQuery = (search: string): string | null =>
    mentionsSecret(decoded(search))
      ? 'Credentials are not accepted in the URL; send them in the Authorization header.'
      : null;
  app.use(async (c, next) => {
    const detail = refusedQuery(new URL(c.req.url).search);
    return detail === null ? next() : replyWith(c, dialectAt(c.req.path).say(400, detail));
  });
  /** Each file has its own limit with its own message; this is the limit of the whole request. */
  const maxUpload = Math.max(maxBody.other, 2 * settings.maxFileSize + 1024 * 1024);
  const limitOf = (c: HonoContext): number => {
    if (takesStrangers(c.req.method, c.req.path)) return maxBody.anonymous;
    if (multipart.test(c.req.header('content-type') ?? '')) return maxUpload;
    return c.req.path === '/graphql' ? maxBody.graphql : maxBody.other;
  };
  const refuseBody = (c: HonoContext, { status, text }: BodyFailure): Response => {
    const code = { 408: 'REQUEST_TIMEOUT', 413: 'PAYLOAD_TOO_LARGE', 429: 'RATE_LIMITED' }[status];
    if (c.req.path === '/graphql') {
      const extensions = { code: status === 429 ? code : 'BAD_USER_INPUT', limit: 'body' };
      return c.json({ errors: [{ message: text, extensions }] }, status);
    }
    const dialect = dialectAt(c.req.path);
    return replyWith(c, dialect === onyx ? coded(status, code, text) : dialect.say(status, text));
  };
  const unread = (c: HonoContext, failure: BodyFailure): Response => {
    const response = refuseBody(c, failure);
    // The rest of the body may never come.
    if (failure.status !== 413) response.headers.set('Connection', 'close');
    if (failure.status === 429) response.headers.set('Retry-After', '1');
    return response;
  };
  const bodyOf = createRequestBodies();
  app.use(async (c, next) => {
    const body = bodyOf(c, () => limitOf(c));
    if (body === null) return next();
    if (body.failure) return unread(c, body.failure);
    c.set('body', body);
    await next().finally(body.end);
    if (!body.failure) return;
    // Replaces the response to a body that could not be read.
    c.res = undefined;
    c.res = unread(c, body.failure);
  });
  /** Sets the limits of a body after its sender has been authenticated. */
  const admitBody = async (c: HonoContext<Env>, viewer: Viewer | 'refused'): Promise<void> => {
    if (viewer === null || viewer === 'refused') c.var.body?.restrict(clientOf(c).address);
    else await c.var.body?.makeRoom(viewer.userId);
  };

  serveHealth(app, notReady);
  const health = (c: HonoContext) => c.json({ success: true, message: 'ok', data: null });
  const versions = (c: HonoContext) => c.json({ backend_version: apiVersion });
  // AnythingLLM's clients ask this first, without a key.
  app.get('/api/ping', (c) => c.json({ online: true }));
  for (const prefix of ['', '/api']) app.get(`${prefix}/health`, health).get(`${prefix}/version`, versions);
  const openApi = readFileSync(join(projectRoot, 'schema', 'openapi.json'), 'utf8');
  app.get('/api/openapi.json', (c) => c.body(openApi, 200, { 'Content-Type': 'application/json; charset=utf-8' }));
  const { graphiql } = servePages(app);

  app.get('/metrics', async (c) => {
    const { viewer } = await authenticate(c, 'bearer');
    if (viewer === 'refused' || viewer === null)
      return c.json({ detail: unauthenticated().message }, 401, { 'WWW-Authenticate': 'Bearer' });
    if (!can(viewer, 'read:analytics')) {
      services.audit.permissionRefused(viewer, 'GET /metrics');
      const { status, body } = onyxFailure(forbidden(['read:analytics']));
      return c.json(body as object, status as ContentfulStatusCode);
    }
    return c.body(await metrics.text(), 200, { 'Content-Type': metrics.contentType });
  });

  app.all('/graphql', async (c) => {
    const { viewer } = await authenticate(c, 'bearer');
    if (viewer === 'refused') throw invalidCredential();
    const asksForPage = c.req.method === 'GET' && c.req.header('accept')?.includes('text/html');
    if (asksForPage && (settings.graphiql || viewer !== null)) return graphiql.respond(c);
    // Only callers with one of these permissions can upload files; the body of others is not read.
    if (multipart.test(c.req.header('content-type') ?? '')) {
      if (viewer === null) throw unauthenticated();
      if (!uploadPermissions.some((permission) => can(viewer, permission))) {
        services.audit.permissionRefused(viewer, 'files in /graphql');
        throw forbidden([...uploadPermissions], 'This credential cannot upload files.');
      }
    }
    await admitBody(c, viewer);
    const response = await yoga.fetch(c.req.raw, contextOf(c, viewer, maxPage));
    const answer = new Response(response.body, response);
    // Prevents proxies from buffering a stream of events.
    if (answer.headers.get('content-type')?.startsWith('text/event-stream'))
      answer.headers.set('X-Accel-Buffering', 'no');
    return answer;
  });

  const sockets = createWebSockets({
    yoga,
    services,
    log,
    metrics,
    clientOf: clientBehind,
    identify: (headers, client) => identify(headers, client, 'bearer'),
    authenticate: (headers, client) => admit(headers, client, 'bearer'),
    contextOf: (request) => contextWith({ ...request, pageLimit: maxPage }),
    hostRefusal,
    refusedQuery,
  });

  const rest = {
    authenticate,
    admitBody,
    fromOwnPage: (c: HonoContext<Env>) => fromOwnPage(c.req.raw.headers),
    context: (c: HonoContext<Env>, principal: Viewer) => contextOf(c, principal, maxCompleteList),
  };
  serveEndpoints(app, { ...rest, checkReplies });
  serveDownloads(app, rest);

  app.notFound((c) => replyWith(c, dialectAt(c.req.path).say(404, 'Not Found')));
  app.onError((error, c) => {
    const dialect = dialectAt(c.req.path);
    if (error instanceof HTTPException) return replyWith(c, dialect.say(error.status, error.message));
    // Endpoints handle their own errors. This handler receives errors of the middleware before them.
    return replyWithError(c, dialect, reportedError(error));
  });
  return { fetch: app.fetch, sockets };
}

/** The host of a request that did not arrive over a connection of this process. */
const withoutConnection = ({ url, headers }: Request): HostRequest => ({
  url,
  rawHeaders: ['Host', headers.get('host') ?? new URL(url).host],
});

/** Returns the host and port of an origin, or the text itself. */
function hostOf(origin: string): string {
  try {
    return new URL(origin).host;
  } catch {
    return origin;
  }
}

/** Returns the route pattern of a request. */
const routeOf = (c: HonoContext): string => matchedRoutes(c).find(({ path }) => path !== '/*')?.path ?? 'unmatched';

/** Returns a query string decoded as far as possible. */
function decoded(search: string): string {
  try {
    return decodeURIComponent(search);
  } catch {
    return search;
  }
}
