import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { type CounterSeries, counterFamily, type HistogramSeries, histogramFamily } from './telemetry/series.ts';

let processRegistry: Registry | undefined;

/** Memory, CPU and event loop of this process; observed once for all servers in it. */
function processMetrics(): Registry {
  if (!processRegistry) {
    processRegistry = new Registry();
    collectDefaultMetrics({ register: processRegistry });
  }
  return processRegistry;
}

/** What the calls of one model record. */
export interface ModelMetrics {
  /** Duration of a call until its end, in seconds. */
  readonly duration: HistogramSeries;
  /** Time until the first text or reasoning of a call, in seconds. */
  readonly firstToken: HistogramSeries;
  readonly inputTokens: CounterSeries;
  readonly outputTokens: CounterSeries;
  /** Counts a failed call by its reason of the catalogue. */
  failed(reason: string): void;
}

export interface Metrics {
  /**
   * Counts a response. `route` is a pattern, never a path, so that the number of labels is bounded. `seconds` is the time
   * until the response, or the first byte of a stream, was ready; it is omitted for a WebSocket.
   */
  request(method: string, route: string, status: number, seconds?: number): void;
  /** Counts an error that a caller receives, by its reason of the catalogue, or by its code when it has no reason. */
  failed(reason: string): void;
  /** Returns the durations of GraphQL operations of a type with a root field of the schema. */
  operation(type: string, field: string): HistogramSeries;
  /** Counts a GraphQL request that was rejected before execution, by limit. */
  refused(limit: string): void;
  /** An operation that was ended while it ran, by the name of the limit. */
  stopped(limit: string): void;
  /** Sets the number of open WebSockets. */
  openSockets(count: number): void;
  /** Records an answer that has ended: its status, its duration, and the time until its first text or null. Seconds. */
  answered(status: string, seconds: number, firstText: number | null): void;
  /** Durations of searches for passages, in seconds. */
  readonly searches: HistogramSeries;
  /** Returns the metrics of a model. Every call with the same names returns the same series. */
  model(kind: 'chat' | 'embedding' | 'image', provider: string, modelId: string): ModelMetrics;
  /** The registry of this server, for metrics that are read when they are requested. */
  readonly registry: Registry;
  readonly contentType: string;
  /** Returns all metrics in the text format of Prometheus. */
  text(): Promise<string>;
}

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** The upper bounds of the buckets, in seconds: for requests and statements, and for what waits for a model. */
const shortTimes = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const longTimes = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300, 600];

/** The responses of one method and route. */
interface RouteSeries {
  duration: HistogramSeries;
  statuses: Map<number, CounterSeries>;
}

function requestMetrics(registry: Registry): Metrics['request'] {
  const counts = counterFamily(registry, {
    name: 'http_requests_total',
    help: 'Answered requests by the pattern of their path.',
    labels: ['method', 'route', 'status'],
  });
  const durations = histogramFamily(
    registry,
    {
      name: 'http_request_duration_seconds',
      help: 'Time until the response, or the beginning of a stream, was ready.',
      labels: ['method', 'route'],
    },
    shortTimes,
  );
  const routes = new Map<string, Map<string, RouteSeries>>();
  const seriesOf = (method: string, route: string): RouteSeries => {
    let byMethod = routes.get(route);
    if (!byMethod) {
      byMethod = new Map();
      routes.set(route, byMethod);
    }
    let series = byMethod.get(method);
    if (!series) {
      series = { duration: durations.series(method, route), statuses: new Map() };
      byMethod.set(method, series);
    }
    return series;
  };
  return (method, route, status, seconds) => {
    const name = methods.has(method) ? method : 'other';
    const { duration, statuses } = seriesOf(name, route);
    let count = statuses.get(status);
    if (!count) {
      count = counts.series(name, route, String(status));
      statuses.set(status, count);
    }
    count.add();
    if (seconds !== undefined) duration.observe(seconds);
  };
}

/** Returns a function that counts by one label. */
function countBy(registry: Registry, name: string, help: string, label: string): (value: string) => void {
  const family = counterFamily(registry, { name, help, labels: [label] });
  return (value) => family.series(value).add();
}

function modelMetrics(registry: Registry): Metrics['model'] {
  const labels = ['kind', 'provider', 'model'];
  const seconds = (name: string, help: string) => histogramFamily(registry, { name, help, labels }, longTimes);
  const durations = seconds('model_call_duration_seconds', 'Duration of calls to models, including failed ones.');
  const firstTokens = seconds('model_time_to_first_token_seconds', 'Time from a call to its first text or reasoning.');
  const tokens = counterFamily(registry, {
    name: 'model_tokens_total',
    help: 'Tokens that the provider reported, by direction: input or output.',
    labels: [...labels, 'direction'],
  });
  const failures = counterFamily(registry, {
    name: 'model_failures_total',
    help: 'Failed calls to models, by the reason of the failure.',
    labels: [...labels, 'reason'],
  });
  return (...model) => ({
    duration: durations.series(...model),
    firstToken: firstTokens.series(...model),
    inputTokens: tokens.series(...model, 'input'),
    outputTokens: tokens.series(...model, 'output'),
    failed: (reason) => failures.series(...model, reason).add(),
  });
}

function answerMetrics(registry: Registry): Metrics['answered'] {
  const durations = histogramFamily(
    registry,
    { name: 'chat_answer_duration_seconds', help: 'Duration of answers by their status.', labels: ['status'] },
    longTimes,
  );
  const firstTexts = histogramFamily(
    registry,
    {
      name: 'chat_time_to_first_token_seconds',
      help: 'Time from the start of an answer, including its search, to its first text or reasoning.',
      labels: [],
    },
    longTimes,
  ).series();
  return (status, seconds, firstText) => {
    durations.series(status).observe(seconds);
    if (firstText !== null) firstTexts.observe(firstText);
  };
}

/** Creates the metrics of a server. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const request = requestMetrics(registry);
  const operations = histogramFamily(
    registry,
    {
      name: 'graphql_operation_duration_seconds',
      help: 'Execution time of operations at /graphql by type and root field; `multiple` stands for several fields.',
      labels: ['type', 'field'],
    },
    shortTimes,
  );
  const sockets = new Gauge({
    name: 'graphql_websockets_open',
    help: 'Number of open WebSockets.',
    registers: [registry],
  });
  return {
    request,
    failed: countBy(registry, 'errors_total', 'Errors that callers received, by reason or code.', 'reason'),
    operation: (type, field) => operations.series(type, field),
    refused: countBy(
      registry,
      'graphql_refused_total',
      'GraphQL requests that were rejected before execution, by the exceeded limit.',
      'limit',
    ),
    stopped: countBy(
      registry,
      'graphql_stopped_total',
      'Operations that were stopped during execution, by the exceeded limit, including REST requests.',
      'limit',
    ),
    openSockets: (count) => sockets.set(count),
    answered: answerMetrics(registry),
    searches: histogramFamily(
      registry,
      { name: 'search_duration_seconds', help: 'Duration of searches for passages.', labels: [] },
      shortTimes,
    ).series(),
    model: modelMetrics(registry),
    registry,
    contentType: registry.contentType,
    text: () => Registry.merge([processMetrics(), registry]).metrics(),
  };
}
