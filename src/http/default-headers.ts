import type { ServerResponse } from 'node:http';
import type { RequestContext } from './app.ts';

/**
 * Sets headers that every response has unless its handler sets others. With a connection they are set on the response of
 * Node, so that the headers of a handler stay a plain object: creating `Headers` takes longer than all other checks of a
 * request.
 */
export async function withDefaultHeaders(
  c: RequestContext,
  headers: Iterable<readonly [string, string]>,
  next: () => Promise<void>,
): Promise<void> {
  const response = c.env?.outgoing as ServerResponse | undefined;
  if (response) {
    for (const [name, value] of headers) response.setHeader(name, value);
    return next();
  }
  await next();
  for (const [name, value] of headers) if (!c.res.headers.has(name)) c.res.headers.set(name, value);
}
