import type { Server } from 'node:http';
import { serve } from '@hono/node-server';
import { type Booted, boot } from './boot.ts';
import { type FirstAdminKey, handOver } from './first-admin-key.ts';
import { logRequests } from './http/access-log.ts';
import { createStartingServer } from './http/starting-server.ts';
import { createLog, failureLog, standardOutputAnd } from './log.ts';
import { misspeltSettings } from './misspelt-settings.ts';
import { readSettings, type Settings, SettingsError } from './settings.ts';
import { announce } from './startup-banner.ts';
import { StartupError } from './startup-error.ts';
import { HungFolderError } from './store/data-dir.ts';

/** The port cannot be opened. */
class PortError extends SettingsError {
  readonly inUse: boolean;
  constructor(port: number, host: string, { code, message }: NodeJS.ErrnoException) {
    super(`PORT ${port} of HOST ${host} cannot be opened: ${code ?? message}`);
    this.inUse = code === 'EADDRINUSE';
  }
}

/** How long a shutdown waits for clients that still read, once no answer is running. Milliseconds. */
const readerTimeoutMs = 2_000;

/** Ends the process with 1, and says why: in one line where the operator can change it, else with the whole error. */
function giveUp(error: unknown): never {
  const isPlain = error instanceof StartupError;
  const line = isPlain ? error.message.replaceAll(/\s*\n\s*/g, ' ') : 'unexpected error';
  if (process.env.NODE_ENV === 'production') failureLog().fatal(isPlain ? {} : { error }, line);
  else console.error(isPlain ? `latchkey: ${line}` : error);
  // An orderly exit would wait for the file system as well.
  if (error instanceof HungFolderError) process.kill(process.pid, 'SIGKILL');
  process.exit(1);
}

/** Opens the port. Throws PortError when it cannot be opened. */
function listen({ port, host }: Settings, fetch: Booted['fetch']): Promise<{ server: Server; port: number }> {
  return new Promise((resolve, reject) => {
    const server = serve({ fetch, port, hostname: host }, (address) =>
      resolve({ server, port: address.port }),
    ) as Server;
    server.on('error', (error: NodeJS.ErrnoException) => reject(new PortError(port, host, error)));
  });
}

/** Loads OpenTelemetry, which a server without a collector does not need, and starts the export. */
const startTelemetry = async () => (await import('./telemetry/open-telemetry.ts')).startOpenTelemetry();

async function main(): Promise<void> {
  const settings = readSettings(process.env);
  const telemetry = settings.collectorUrl ? await startTelemetry() : null;
  const log = createLog(settings.logLevel, telemetry ? standardOutputAnd(telemetry.writeLog) : undefined);
  telemetry?.reportTo(log);
  for (const { name, setting } of misspeltSettings(process.env))
    log.warn({ name }, `${name} is not a setting of this server; did you mean ${setting}?`);
  let serving: Booted['fetch'] = createStartingServer();
  const open = async () => {
    const listening = await listen(settings, (...request: Parameters<Booted['fetch']>) => serving(...request));
    logRequests(listening.server, log);
    return listening;
  };
  // Opened before the database, so that health checks are answered while that takes its time. In a rolling restart the
  // instance before has the port, and gives it back with the database.
  let listening = await open().catch((error: unknown) => {
    if (error instanceof PortError && error.inUse) return null;
    throw error;
  });
  let firstKey: FirstAdminKey | null = null;
  const booted = await boot({
    settings,
    log,
    onFirstAdminKey: (secret) => {
      firstKey = handOver(secret, { dataDir: settings.dataDir, isTerminal: process.stdout.isTTY });
    },
    onLockLost: (message) => giveUp(new StartupError(message)),
    listen: async (fetch, attach) => {
      listening ??= await open();
      attach(listening.server);
      serving = fetch;
      // With PORT=0 the operating system chooses a port.
      return settings.publicUrl.replace(/:0$/, `:${listening.port}`);
    },
  });
  const server = listening?.server;

  let stopping = false;
  const stop = async () => {
    if (stopping) return;
    stopping = true;
    log.info('shutting down');
    const closed = new Promise((resolve) => server?.close(resolve));
    await booted.drain(settings.shutdownMs);
    // Idle connections are closed immediately; a client that does not read cannot delay the shutdown for long.
    setInterval(() => server?.closeIdleConnections(), 100);
    setTimeout(() => server?.closeAllConnections(), readerTimeoutMs);
    await closed;
    await booted.close();
    await telemetry?.close();
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop().catch(giveUp));
  announce(booted.publicUrl, firstKey, settings.isProduction ? log : null);
}

await main().catch(giveUp);
