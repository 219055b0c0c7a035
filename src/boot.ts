import type { Log } from './log.ts';
import { ingestGuide } from './modules/knowledge/guide.ts';
import { createServer } from './server.ts';
import { createServices, type Foundation, type Services } from './services.ts';
import type { Settings } from './settings.ts';
import { type Background, createBackground } from './store/background.ts';
import { type DatabaseOptions, openDatabase } from './store/database.ts';
import { createRevocations } from './store/revocations.ts';

export interface BootOptions {
  settings: Settings;
  log: Log;
  database?: DatabaseOptions;
  checkReplies?: boolean;
  /**
   * Opens the port and returns the address that clients use. Called before the first admin key is made, which is shown
   * once: a port that is taken must not cost it. `PUBLIC_URL` when absent.
   */
  listen?: (fetch: Booted['fetch']) => Promise<string>;
}

/** A server that is ready to be listened to. */
export interface Booted {
  fetch: ReturnType<typeof createServer>['fetch'];
  services: Services;
  foundation: Foundation;
  background: Background;
  /** Where clients reach this server, without a trailing slash. */
  publicUrl: string;
  /** The admin key that this start made up, to be shown once; null at later starts, and where the settings hold it. */
  firstAdminKey: string | null;
  /** Ends running turns (10 seconds are given to them), finishes what is pending, closes the database. */
  close(): Promise<void>;
}

/** How long a shutdown waits for answers under way. Milliseconds. */
const patience = 10_000;

/** Opens the database, brings it to this version, and builds the server on it. */
export async function boot({ settings, log, database, checkReplies, listen }: BootOptions): Promise<Booted> {
  const db = await openDatabase(database ?? { databaseUrl: settings.databaseUrl, dataDir: settings.dataDir });
  const background = createBackground(log);
  const foundation: Foundation = { settings, db, log, background, revocations: createRevocations() };
  const services = createServices(foundation);
  await services.runs.markInterrupted();
  await services.idempotency.forgetInterrupted();
  await services.limits.load();
  const app = createServer({ settings, db, log, services, checkReplies: checkReplies ?? false });
  const publicUrl = listen ? await listen(app.fetch) : settings.publicUrl;
  const firstAdminKey = await services.tokens.createFirstAdminKey(settings.bootstrapAdminKey ?? null);
  await ingestGuide(db, services.knowledge, publicUrl);
  const retention = settings.auditRetentionDays;
  const forget = () =>
    background.run('retention', async () => {
      if (retention) await services.audit.forget(retention);
      await services.idempotency.forget();
    });
  forget();
  const daily = setInterval(forget, 24 * 3600 * 1000).unref();
  return {
    fetch: app.fetch,
    services,
    foundation,
    background,
    publicUrl,
    // Who set one has it.
    firstAdminKey: firstAdminKey === settings.bootstrapAdminKey ? null : firstAdminKey,
    async close() {
      clearInterval(daily);
      await services.runs.drain(patience);
      await db.close();
    },
  };
}
