import { AsyncLocalStorage } from 'node:async_hooks';
import { pino } from 'pino';
import { redactSecrets } from './modules/tokens/secret.ts';

export type Log = pino.Logger;

/** JSON lines on standard output. Secrets of tokens are cut out of every line, whatever field they hide in. */
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

/** The request that the running code belongs to, for errors that surface where no context reaches. */
export const currentRequest = new AsyncLocalStorage<{ requestId: string; log: Log }>();
