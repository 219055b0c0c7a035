import type { IncomingMessage } from 'node:http';
import type { HttpBindings } from '@hono/node-server';
import { Hono, type Context as HonoContext } from 'hono';
import { getPathNoStrict } from 'hono/utils/url';
import type { RequestScope } from '../log.ts';
import { canonicalPath } from '../rest/routes.ts';
import type { RequestBody } from './request-bodies.ts';

export interface Env {
  Bindings: Partial<HttpBindings>;
  Variables: { scope: RequestScope; body?: RequestBody };
}

export type App = Hono<Env>;
export type RequestContext = HonoContext<Env>;

/** Creates an app whose routes match the canonical form of a path; see {@link canonicalPath}. */
export const createApp = (): App => new Hono<Env>({ getPath: (request) => canonicalPath(getPathNoStrict(request)) });

/** Returns the request of Node; undefined when `fetch` is called without a connection. */
export const incomingOf = (c: RequestContext): IncomingMessage | undefined =>
  c.env?.incoming as IncomingMessage | undefined;
