import type { ServerResponse } from 'node:http';
import { activeTraceId, isTracing, type Span, startSpan } from '../telemetry/tracing.ts';
import { noteTrace } from './access-log.ts';
import { incomingOf, type RequestContext } from './app.ts';

/** The paths that monitoring calls every few seconds. They have no spans. */
const monitoring = /^(\/api)?\/(health|metrics)(\/|$)/;

/**
 * Runs the handlers of a request in a span, unless traces are not exported. The span continues the trace of the
 * `traceparent` header, is named after the route that `route` returns, and ends when the response has been sent. It
 * contains neither the path, which can contain names and IDs, nor the query.
 */
export async function traceRequest(c: RequestContext, route: () => string, handle: () => Promise<void>): Promise<void> {
  if (!isTracing() || monitoring.test(c.req.path)) return handle();
  const { method } = c.req;
  const span = startSpan(method, {
    kind: 'server',
    headers: c.req.raw.headers,
    attributes: { 'http.request.method': method, 'latchkey.request_id': c.var.scope.requestId },
  }) as Span;
  span.run(() => noteTrace(incomingOf(c), activeTraceId()));
  await span.run(handle);
  const { status } = c.res;
  span.rename(`${method} ${route()}`);
  span.set({ 'http.route': route(), 'http.response.status_code': status });
  const end = () => span.end(status >= 500 ? (c.var.scope.failure ?? String(status)) : undefined);
  const response = c.env?.outgoing as ServerResponse | undefined;
  if (response && !response.closed) response.once('close', end);
  else end();
}
