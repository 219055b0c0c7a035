import { activeTraceId, failureType, inSpan, type Span, startSpan } from '../telemetry/tracing.ts';

/** Maximum number of statements whose description is kept. */
const maxKnown = 1000;

interface Described {
  operation: string;
  table: string | null;
}

const known = new Map<string, Described>();

/**
 * Returns the command of a statement, and the model that a compiled read names at its end or the first table: neither
 * its text nor its values.
 */
function describe(sql: string): Described {
  let described = known.get(sql);
  if (!described) {
    const operation = /^\s*([a-z]+)/i.exec(sql)?.[1]?.toUpperCase() ?? 'SQL';
    const table =
      /\/\* (\w+) \*\/$/.exec(sql)?.[1] ??
      /\b(?:FROM|INTO|UPDATE|JOIN)\s+(?:"public"\.)?"(\w+)"/i.exec(sql)?.[1] ??
      null;
    described = { operation, table };
    if (known.size < maxKnown) known.set(sql, described);
  }
  return described;
}

function optionsOf(sql: string) {
  const { operation, table } = describe(sql);
  return {
    name: table === null ? operation : `${operation} ${table}`,
    options: {
      kind: 'client' as const,
      attributes: {
        'db.system.name': 'postgresql',
        'db.operation.name': operation,
        ...(table !== null && { 'db.collection.name': table }),
      },
    },
  };
}

/** Returns whether a statement gets a span: only within the trace of a request. */
const isTraced = (): boolean => activeTraceId() !== null;

/** Runs a statement, in a span within the trace of a request. */
export function inStatementSpan<T>(sql: string, run: () => Promise<T>): Promise<T> {
  if (!isTraced()) return run();
  const { name, options } = optionsOf(sql);
  return inSpan(name, options, run);
}

type Callback = (error: unknown, ...result: unknown[]) => void;

/**
 * Runs a query of `pg`, whose result is a promise, or is passed to a callback as the last argument. `run` gets the
 * arguments to use.
 */
export function inQuerySpan(args: unknown[], run: (args: unknown[]) => unknown): unknown {
  if (!isTraced()) return run(args);
  const [first] = args;
  const { name, options } = optionsOf(typeof first === 'string' ? first : String((first as { text?: string }).text));
  const span = startSpan(name, options) as Span;
  const end = (error?: unknown) => span.end(error == null ? undefined : failureType(error));
  const last = args.at(-1);
  if (typeof last === 'function') {
    const callback: Callback = (error, ...result) => {
      end(error);
      (last as Callback)(error, ...result);
    };
    return run([...args.slice(0, -1), callback]);
  }
  const result = run(args);
  if (result instanceof Promise) result.then(() => end(), end);
  else end();
  return result;
}
