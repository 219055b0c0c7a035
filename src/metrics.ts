import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { JobReport } from './scheduler.ts';

let processRegistry: Registry | undefined;

/** Memory, CPU and event loop of this process; observed once for all servers in it. */
function processMetrics(): Registry {
  if (!processRegistry) {
    processRegistry = new Registry();
    collectDefaultMetrics({ register: processRegistry });
  }
  return processRegistry;
}

export interface Metrics {
  /** `route` is a pattern, never a path, so that the number of labels is bounded. */
  request(method: string, route: string, status: number): void;
  /** Counts a GraphQL request that was rejected before execution, by limit. */
  refused(limit: string): void;
  /** An operation that was ended while it ran, by the name of the limit. */
  stopped(limit: string): void;
  /** Sets the number of open WebSockets. */
  openSockets(count: number): void;
  readonly contentType: string;
  /** Returns all metrics in the text format of Prometheus. */
  text(): Promise<string>;
}

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

interface MetricsSources {
  /** Returns the number of messages that wait for their chat session. */
  waitingMessages: () => number;
  jobs: () => readonly JobReport[];
}

/** The metrics of the last run of each job. */
function observeJobs(registry: Registry, jobs: MetricsSources['jobs']): void {
  const gauge = (name: string, help: string, value: (report: JobReport) => number | null) =>
    new Gauge({
      name,
      help,
      labelNames: ['job'],
      registers: [registry],
      collect() {
        for (const report of jobs()) {
          const now = value(report);
          if (now !== null) this.set({ job: report.name }, now);
        }
      },
    });
  const unix = (date: Date | null) => date && date.getTime() / 1000;
  gauge('job_last_run_timestamp_seconds', 'End of the last run of a job.', ({ finishedAt }) => unix(finishedAt));
  gauge('job_last_success_timestamp_seconds', 'End of the last run of a job that did not fail.', ({ succeededAt }) =>
    unix(succeededAt),
  );
  gauge('job_last_run_duration_seconds', 'Duration of the last run of a job.', ({ seconds }) => seconds);
  new Counter({
    name: 'job_failures_total',
    help: 'Runs of a job that failed.',
    labelNames: ['job'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { name, failures } of jobs()) this.inc({ job: name }, failures);
    },
  });
}

/** Creates the metrics of a server. */
export function createMetrics({ waitingMessages, jobs }: MetricsSources): Metrics {
  const registry = new Registry();
  const requests = new Counter({
    name: 'http_requests_total',
    help: 'Answered requests by the pattern of their path.',
    labelNames: ['method', 'route', 'status'],
    registers: [registry],
  });
  const refusals = new Counter({
    name: 'graphql_refused_total',
    help: 'GraphQL requests that were rejected before execution, by the exceeded limit.',
    labelNames: ['limit'],
    registers: [registry],
  });
  const stops = new Counter({
    name: 'graphql_stopped_total',
    help: 'Operations that were stopped during execution, by the exceeded limit, including REST requests.',
    labelNames: ['limit'],
    registers: [registry],
  });
  const sockets = new Gauge({
    name: 'graphql_websockets_open',
    help: 'Number of open WebSockets.',
    registers: [registry],
  });
  new Gauge({
    name: 'chat_messages_waiting',
    help: 'Messages that wait until their chat session has answered earlier messages.',
    registers: [registry],
    collect() {
      this.set(waitingMessages());
    },
  });
  observeJobs(registry, jobs);
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
