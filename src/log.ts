import { pino } from 'pino';
import { redactSecrets } from './authz/secret.ts';
import { activeTraceId, isTracing } from './telemetry/tracing.ts';

export type Log = pino.Logger;

const standardOutput = () => pino.destination({ dest: 1, sync: false });

/** Returns a destination that writes to standard output and passes each line to `copy`. */
export function standardOutputAnd(copy: (line: string) => void): pino.DestinationStream {
  const output = standardOutput();
  return {
    write(line) {
      output.write(line);
      copy(line);
    },
  };
}

/** Adds the active trace to a line. A line that has its own trace keeps it. */
function traceOfLine(line: object): object {
  const traceId = activeTraceId();
  return traceId === null || 'traceId' in line ? {} : { traceId };
}

/** Creates a log that writes JSON lines to standard output. Secrets of tokens are removed from every field. */
export function createLog(level: string, destination?: pino.DestinationStream): Log {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { error: pino.stdSerializers.err },
      hooks: { streamWrite: redactSecrets },
      ...(isTracing() && { mixin: traceOfLine }),
    },
    destination ?? standardOutput(),
  );
}

/** For the line with which a server ends that cannot start: on standard error, and written before the process exits. */
export const failureLog = (): Log => createLog('fatal', pino.destination({ dest: 2, sync: true }));

/** A request whose log lines contain its ID. The log of the request is created with its first line. */
export class RequestScope {
  private child: Log | undefined;
  /** The reason of the error that the caller receives, unless GraphQL reports it. */
  failure: string | null = null;

  constructor(
    readonly requestId: string,
    private readonly serverLog: Log,
  ) {}

  get log(): Log {
    this.child ??= this.serverLog.child({ requestId: this.requestId });
    return this.child;
  }
}
