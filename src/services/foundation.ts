import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { Settings } from '../settings.ts';
import type { Background } from '../store/background.ts';
import type { Database } from '../store/database.ts';
import type { SharedState } from '../store/shared/shared-state.ts';

/** The dependencies of the services. */
export interface Foundation {
  settings: Settings;
  db: Database;
  log: Log;
  background: Background;
  metrics: Metrics;
  shared: SharedState;
  /** Returns the URL of this server without a trailing slash; final once the port is open. */
  publicUrl: () => string;
}
