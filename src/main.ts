import { serve } from '@hono/node-server';
import { boot } from './boot.ts';
import { createLog } from './log.ts';
import { readSettings, SettingsError } from './settings.ts';
import { NotAloneError } from './store/alone.ts';
import { welcome } from './welcome.ts';

/** Why the server did not start: one line where the operator can mend it, the whole error otherwise. */
function giveUp(error: unknown): never {
  const plain = error instanceof SettingsError || error instanceof NotAloneError;
  console.error(plain ? `latchkey: ${error.message}` : error);
  process.exit(1);
}

try {
  const settings = readSettings(process.env);
  const log = createLog(settings.logLevel);
  const booted = await boot({ settings, log });
  const server = serve({ fetch: booted.fetch, port: settings.port, hostname: settings.host }, ({ port }) => {
    console.log(welcome(settings, port, booted.firstAdminKey));
  });
  server.on('error', giveUp);

  let stopping = false;
  const stop = async () => {
    if (stopping) return;
    stopping = true;
    log.info('shutting down');
    const closed = new Promise((resolve) => server.close(resolve));
    if ('closeIdleConnections' in server) server.closeIdleConnections();
    await booted.services.runs.drain(10_000);
    await closed;
    await booted.close();
    process.exit(0);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
} catch (error) {
  giveUp(error);
}
