import { pino } from 'pino';
import { redactSecrets } from './authz/secret.ts';

export type Log = pino.Logger;

/** Creates a log that writes JSON lines to standard output. Secrets of tokens are removed from every field. */
export function createLog(level: string, destination?: pino.DestinationStream): Log {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { error: pino.stdSerializers.err },
      hooks: { streamWrite: redactSecrets },
    },
    destination ?? pino.destination({ dest: 1, sync: false }),
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
