/** Values that describe a span. They contain no secrets, no content of messages and no values of queries. */
type SpanAttributes = Record<string, string | number>;

export interface SpanOptions {
  kind: 'internal' | 'server' | 'client';
  attributes?: SpanAttributes;
  /** The headers of a request whose `traceparent` is the parent of the span. Defaults to the active span. */
  headers?: Pick<Headers, 'get'>;
}

/** A part of a trace that is running. */
export interface Span {
  /** Runs work whose spans are children of this one. */
  run<T>(work: () => T): T;
  rename(name: string): void;
  set(attributes: SpanAttributes): void;
  /** Ends the span. `failure` is the type of the error with which it failed, such as a reason of the catalogue. */
  end(failure?: string): void;
}

/** An exporter of traces. */
export interface Tracing {
  start(name: string, options: SpanOptions): Span;
  /** Writes the `traceparent` of the active span to the headers of a request. */
  inject(headers: Headers): void;
  /** Returns the ID of the active trace, or null. */
  traceId(): string | null;
}

/** Traces belong to the process, as those of OpenTelemetry do, and not to one of the servers in it. */
let current: Tracing | null = null;

/** Sets the exporter of the traces of this process; null ends the export. */
export function exportTraces(tracing: Tracing | null): void {
  current = tracing;
}

/** Returns whether traces are exported. */
export const isTracing = (): boolean => current !== null;

/** Starts a span, or returns null unless traces are exported. The caller ends it. */
export const startSpan = (name: string, options: SpanOptions): Span | null => current?.start(name, options) ?? null;

/** Writes the active span to the headers of a request. Has no effect unless traces are exported. */
export const injectTrace = (headers: Headers): void => current?.inject(headers);

/** Returns the ID of the active trace, or null. */
export const activeTraceId = (): string | null => current?.traceId() ?? null;

/** Returns the type of an error for a span: its reason, its code or its class, never its message. */
export function failureType(error: unknown): string {
  const { reason, code, name } = (error ?? {}) as { reason?: unknown; code?: unknown; name?: unknown };
  for (const type of [reason, code, name]) if (typeof type === 'string' && /^\w{1,64}$/.test(type)) return type;
  return 'error';
}

/** Runs work in a span that ends with it. Only runs it unless traces are exported. */
export async function inSpan<T>(name: string, options: SpanOptions, work: () => Promise<T>): Promise<T> {
  const span = startSpan(name, options);
  if (!span) return work();
  try {
    const result = await span.run(work);
    span.end();
    return result;
  } catch (error) {
    span.end(failureType(error));
    throw error;
  }
}
