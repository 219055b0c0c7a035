import type { Server } from 'node:http';
import type { Log } from './log.ts';
import { createMetrics } from './metrics.ts';
import { ingestGuide } from './modules/knowledge/seed-documents.ts';
import { openSharedState } from './open-shared-state.ts';
import { createRecovery } from './recovery.ts';
import { createServer } from './server.ts';
import { createServices, type Foundation, type Services } from './services.ts';
import type { Settings } from './settings.ts';
import { type Background, createBackground } from './store/background.ts';
import { checkDataDir } from './store/data-dir.ts';
import { type DatabaseOptions, openDatabase } from './store/database.ts';
import { holding } from './store/shared/locks.ts';
import { useVectorExtension } from './store/vectors.ts';

export interface BootOptions {
  settings: Settings;
  log: Log;
  database?: DatabaseOptions;
  /**
   * Opens the port and returns the address that clients use. Called before the first admin key is created: the key is
   * shown once, and a port in use must not lose it. Defaults to `PUBLIC_URL`.
   */
  listen?: (fetch: Booted['fetch'], attach: Booted['attach']) => Promise<string>;
  /**
   * Called when another instance has taken over the database. This instance must then stop immediately. The message is
   * one line for the operator.
   */
  onLockLost?: (message: string) => void;
  /** Gets the first admin key when one is generated. When it throws, no key is created and the start fails. */
  onFirstAdminKey?: (secret: string) => void;
}

/** A server that is ready to receive requests. */
export interface Booted {
  fetch: ReturnType<typeof createServer>['fetch'];
  /** Serves WebSockets on the connections of an HTTP server, in addition to `fetch`. */
  attach: (server: Server) => void;
  services: Services;
  foundation: Foundation;
  background: Background;
  /** The URL of this server without a trailing slash. */
  publicUrl: string;
  /**
   * The admin key that this start generated, to be shown once; null at later starts, and when the settings contain it.
   */
  firstAdminKey: string | null;
  /** Ends running turns after a timeout in milliseconds, then closes the WebSockets with 1001. */
  drain(patienceMs: number): Promise<void>;
  /** Drains (running turns have `SHUTDOWN_SECONDS`), finishes pending work and closes the database. */
  close(): Promise<void>;
}

/** Opens the database, applies migrations and builds the server. */
export async function boot({
  settings,
  log,
  database,
  listen,
  onLockLost,
  onFirstAdminKey,
}: BootOptions): Promise<Booted> {
  const { databaseUrl, dataDir, statementTimeoutMs } = settings;
  await checkDataDir(dataDir);
  const isShared = settings.redisUrl !== undefined;
  const where = database ?? { databaseUrl, dataDir };
  const db = await openDatabase({ statementTimeoutMs, ...where, log, onLockLost, isShared });
  const shared = await openSharedState(settings, db, log).catch(async (error: unknown) => {
    await db.close();
    throw error;
  });
  const background = createBackground(log);
  let publicUrl = settings.publicUrl;
  const foundation: Foundation = {
    settings,
    db,
    log,
    background,
    metrics: createMetrics(),
    shared,
    publicUrl: () => publicUrl,
  };
  const services = createServices(foundation);
  const recovery = createRecovery({ services, shared, log });
  await recovery.atStart();
  await services.limits.load();
  let state: 'starting' | 'serving' | 'draining' = 'starting';
  const notReady = async () => {
    if (state !== 'serving') return state;
    return (await db.reachable()) ? null : 'database_unavailable';
  };
  const { fetch, sockets } = createServer({ ...foundation, services, notReady });
  if (listen) publicUrl = await listen(fetch, sockets.attach);
  const firstAdminKey = await services.tokens.createFirstAdminKey(settings.bootstrapAdminKey ?? null, onFirstAdminKey);
  await holding(shared.locks, 'start', async () => {
    if (services.embedder) await useVectorExtension(db, log);
    await ingestGuide(db, services.knowledge, publicUrl);
  });
  services.embedder?.soon();
  await services.files.resume();
  services.scheduler.start(services.jobs);
  recovery.watch();
  const drain = async (patienceMs: number) => {
    state = 'draining';
    services.scheduler.stop();
    recovery.stop();
    // Files whose text is being extracted are read again at the next start.
    await services.files.close();
    await services.runs.drain(patienceMs);
    await sockets.close();
  };
  state = 'serving';
  return {
    fetch,
    attach: sockets.attach,
    services,
    foundation,
    background,
    publicUrl,
    // An operator who set the key knows it.
    firstAdminKey: firstAdminKey === settings.bootstrapAdminKey ? null : firstAdminKey,
    drain,
    async close() {
      await drain(settings.shutdownMs);
      await shared.close();
      await db.close();
    },
  };
}
