import type { Log } from './log.ts';
import { version } from './project-root.ts';
import { readSecretKey } from './secret-key.ts';
import type { Settings } from './settings.ts';
import type { Database } from './store/database.ts';
import { deploymentId } from './store/deployment-id.ts';
import { inMemoryState, type SharedState } from './store/shared/shared-state.ts';

/**
 * Returns the state that the instances of the server share: in Redis with `REDIS_URL`, otherwise in the memory of this
 * process. The client of Redis is only loaded when it is used. Throws StartupError.
 */
export async function openSharedState(settings: Settings, db: Database, log: Log): Promise<SharedState> {
  const { redisUrl } = settings;
  if (redisUrl === undefined) return inMemoryState();
  const { openRedisState, fingerprintOf } = await import('./store/shared/redis/open-redis-state.ts');
  const profile = { fingerprint: fingerprintOf(readSecretKey(settings)), version };
  return openRedisState({ redisUrl, deployment: await deploymentId(db), profile, log });
}
