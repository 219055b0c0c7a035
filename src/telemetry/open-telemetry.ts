import { randomUUID } from 'node:crypto';
import {
  type Span as ApiSpan,
  context,
  DiagLogLevel,
  diag,
  propagation,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import { type Logger, SeverityNumber } from '@opentelemetry/api-logs';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPLogExporter as JsonLogExporter } from '@opentelemetry/exporter-logs-otlp-http';
import { OTLPLogExporter as ProtobufLogExporter } from '@opentelemetry/exporter-logs-otlp-proto';
import { OTLPTraceExporter as JsonTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPTraceExporter as ProtobufTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import type { Log } from '../log.ts';
import { version } from '../project-root.ts';
import { logRecordOf } from './log-records.ts';
import { exportTraces, type Span, type Tracing } from './tracing.ts';

/** The export of traces and log lines to a collector. */
export interface Telemetry {
  /** Exports a line of the log. */
  writeLog(line: string): void;
  /** Reports failures of the export to a log, at most once per minute. These lines are not exported. */
  reportTo(log: Log): void;
  /** Exports the remaining spans and log lines, and ends the export. */
  close(): Promise<void>;
}

/** Time for the last export of a stopping server, in milliseconds. */
const lastExportMs = 3_000;
const reportIntervalMs = 60_000;

const kinds = { internal: SpanKind.INTERNAL, server: SpanKind.SERVER, client: SpanKind.CLIENT };

/** Creates the exporters for the protocol of `OTEL_EXPORTER_OTLP_PROTOCOL`: `http/json`, otherwise `http/protobuf`. */
const createExporters = () =>
  process.env.OTEL_EXPORTER_OTLP_PROTOCOL === 'http/json'
    ? { traces: new JsonTraceExporter(), logs: new JsonLogExporter() }
    : { traces: new ProtobufTraceExporter(), logs: new ProtobufLogExporter() };

/** Returns the attributes of this process, which `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` override. */
const resource = () =>
  defaultResource()
    .merge(
      resourceFromAttributes({
        'service.name': 'latchkey',
        'service.version': version,
        'service.instance.id': randomUUID(),
      }),
    )
    .merge(detectResources({ detectors: [envDetector] }));

function spanOf(span: ApiSpan): Span {
  const active = trace.setSpan(context.active(), span);
  return {
    run: (work) => context.with(active, work),
    rename: (name) => void span.updateName(name),
    set: (attributes) => void span.setAttributes(attributes),
    end(failure) {
      if (failure !== undefined) span.setAttribute('error.type', failure).setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    },
  };
}

const writeHeader = { set: (headers: Headers, name: string, value: string) => headers.set(name, value) };
const readHeader = {
  keys: () => [],
  get: (headers: Pick<Headers, 'get'>, name: string) => headers.get(name) ?? undefined,
};

function createTracing(provider: BasicTracerProvider): Tracing {
  const tracer = provider.getTracer('latchkey', version);
  return {
    start(name, { kind, attributes, headers }) {
      const parent = headers ? propagation.extract(context.active(), headers, readHeader) : context.active();
      return spanOf(tracer.startSpan(name, { kind: kinds[kind], ...(attributes && { attributes }) }, parent));
    },
    inject: (headers) => propagation.inject(context.active(), headers, writeHeader),
    traceId: () => trace.getActiveSpan()?.spanContext().traceId ?? null,
  };
}

/** Exports the log. Lines that are written while `isMuted` are not exported. */
function logWriter(logger: Logger) {
  let isMuted = false;
  let reportedAt = Number.NEGATIVE_INFINITY;
  return {
    writeLog(line: string): void {
      const record = isMuted ? null : logRecordOf(line, severities);
      if (record) logger.emit({ ...record, context: context.active() });
    },
    reportTo(log: Log): void {
      const report = (message: string) => {
        if (performance.now() - reportedAt < reportIntervalMs) return;
        reportedAt = performance.now();
        isMuted = true;
        log.warn({ reason: message.slice(0, 500) }, 'traces or logs could not be exported');
        isMuted = false;
      };
      const none = () => {};
      diag.setLogger(
        { error: report, warn: report, info: none, debug: none, verbose: none },
        { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
      );
    },
  };
}

/** The severity of each level of pino. */
const severities: Record<number, SeverityNumber> = {
  10: SeverityNumber.TRACE,
  20: SeverityNumber.DEBUG,
  30: SeverityNumber.INFO,
  40: SeverityNumber.WARN,
  50: SeverityNumber.ERROR,
  60: SeverityNumber.FATAL,
};

/**
 * Starts the export of traces and logs to the collector at `OTEL_EXPORTER_OTLP_ENDPOINT`. The packages of OpenTelemetry
 * read their other variables from the environment of the process.
 */
export function startOpenTelemetry(): Telemetry {
  const exporters = createExporters();
  const common = { resource: resource() };
  const tracerProvider = new BasicTracerProvider({
    ...common,
    spanProcessors: [new BatchSpanProcessor(exporters.traces)],
  });
  const loggerProvider = new LoggerProvider({
    ...common,
    processors: [new BatchLogRecordProcessor({ exporter: exporters.logs })],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  exportTraces(createTracing(tracerProvider));
  return {
    ...logWriter(loggerProvider.getLogger('latchkey', version)),
    async close() {
      exportTraces(null);
      const late = new Promise((resolve) => setTimeout(resolve, lastExportMs).unref());
      await Promise.race([Promise.allSettled([tracerProvider.shutdown(), loggerProvider.shutdown()]), late]);
      context.disable();
      propagation.disable();
      diag.disable();
    },
  };
}
