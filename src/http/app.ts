import type { IncomingMessage } from 'node:http';
import type { HttpBindings } from '@hono/node-server';
import type { Hono, Context as HonoContext } from 'hono';
import type { Log } from '../log.ts';
import type { RequestBody } from './request-bodies.ts';

export interface Env {
  Bindings: Partial<HttpBindings>;
  Variables: { requestId: string; log: Log; body?: RequestBody };
}

export type App = Hono<Env>;
export type RequestContext = HonoContext<Env>;

/** Returns the request of Node; undefined when `fetch` is called without a connection. */
export const incomingOf = (c: RequestContext): IncomingMessage | undefined =>
  c.env?.incoming as IncomingMessage | undefined;
