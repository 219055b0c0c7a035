import type { Server } from 'node:http';
import { serve } from '@hono/node-server';
import { type Booted, boot } from './boot.ts';
import { createLog } from './log.ts';
import { readSettings, type Settings, SettingsError } from './settings.ts';
import { NotAloneError } from './store/alone.ts';
import { welcome } from './welcome.ts';

/** How long a shutdown waits for clients that still read, once no answer is running. Milliseconds. */
const readerTimeoutMs = 2_000;

/** Why the server stops: one line where the operator can mend it, the whole error otherwise. */
function giveUp(error: unknown): never {
  const plain = error instanceof SettingsError || error instanceof NotAloneError;
  console.error(plain ? `latchkey: ${error.message}` : error);
  process.exit(1);
}

/** Opens the port. Throws SettingsError when it cannot be had. */
function listen({ port, host }: Settings, fetch: Booted['fetch']): Promise<{ server: Server; port: number }> {
  return new Promise((resolve, reject) => {
    const server = serve({ fetch, port, hostname: host }, (address) =>
      resolve({ server, port: address.port }),
    ) as Server;
    server.on('error', (error: NodeJS.ErrnoException) =>
      reject(new SettingsError(`PORT ${port} of HOST ${host} cannot be opened: ${error.code ?? error.message}`)),
    );
  });
}

async function main(): Promise<void> {
  const settings = readSettings(process.env);
  const log = createLog(settings.logLevel);
  let server: Server | undefined;
  const booted = await boot({
    settings,
    log,
    listen: async (fetch, attach) => {
      const listening = await listen(settings, fetch);
      server = listening.server;
      attach(server);
      // With PORT=0 the system chooses.
      return settings.publicUrl.replace(/:0$/, `:${listening.port}`);
    },
  });

  let stopping = false;
  const stop = async () => {
    if (stopping) return;
    stopping = true;
    log.info('shutting down');
    const closed = new Promise((resolve) => server?.close(resolve));
    await booted.drain(settings.shutdownMs);
    // Connections that are done go at once; one whose client does not read, or says nothing, holds nobody up for long.
    setInterval(() => server?.closeIdleConnections(), 100);
    setTimeout(() => server?.closeAllConnections(), readerTimeoutMs);
    await closed;
    await booted.close();
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop().catch(giveUp));
  console.log(welcome(booted.publicUrl, booted.firstAdminKey));
}

await main().catch(giveUp);
