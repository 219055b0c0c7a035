import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';

let processRegistry: Registry | undefined;

/** Memory, CPU and event loop of this process; observed once, however many servers run in it. */
function processMetrics(): Registry {
  if (!processRegistry) {
    processRegistry = new Registry();
    collectDefaultMetrics({ register: processRegistry });
  }
  return processRegistry;
}

export interface Metrics {
  /** `route` is a pattern, never a path: a label must not grow with what callers send. */
  request(method: string, route: string, status: number): void;
  /** A GraphQL request that was refused before it ran, by the name of the limit. */
  refused(limit: string): void;
  /** An operation that was ended while it ran, by the name of the limit. */
  stopped(limit: string): void;
  /** How many WebSockets are open now. */
  openSockets(count: number): void;
  readonly contentType: string;
  /** Everything, in the text format of Prometheus. */
  text(): Promise<string>;
}

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

export function createMetrics(): Metrics {
  const registry = new Registry();
  const requests = new Counter({
    name: 'http_requests_total',
    help: 'Requests that were answered, by the pattern of their path.',
    labelNames: ['method', 'route', 'status'],
    registers: [registry],
  });
  const refusals = new Counter({
    name: 'graphql_refused_total',
    help: 'GraphQL requests that were refused before they ran, by the limit that they exceeded.',
    labelNames: ['limit'],
    registers: [registry],
  });
  const stops = new Counter({
    name: 'graphql_stopped_total',
    help: 'Operations that were ended while they ran, by the limit that they exceeded. REST requests are included.',
    labelNames: ['limit'],
    registers: [registry],
  });
  const sockets = new Gauge({
    name: 'graphql_websockets_open',
    help: 'WebSockets that are open.',
    registers: [registry],
  });
  const all = Registry.merge([processMetrics(), registry]);
  return {
    request(method, route, status) {
      requests.inc({ method: methods.has(method) ? method : 'other', route, status });
    },
    refused(limit) {
      refusals.inc({ limit });
    },
    stopped(limit) {
      stops.inc({ limit });
    },
    openSockets: (count) => sockets.set(count),
    contentType: all.contentType,
    text: () => all.metrics(),
  };
}
