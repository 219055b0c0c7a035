import { createHmac } from 'node:crypto';
import type { Log } from '../../../log.ts';
import { StartupError } from '../../../startup-error.ts';
import type { Instance } from './instance.ts';
import { Script } from './script.ts';

/** What all instances of a server must have in common. */
export interface Profile {
  /** Proves the SECRET_KEY without containing it. */
  fingerprint: string;
  version: string;
}

/** Returns a fingerprint from which the key cannot be derived. */
export const fingerprintOf = (secretKey: string): string =>
  createHmac('sha256', secretKey).update('latchkey instance').digest('base64url');

/**
 * Compares the profile of this instance with those of the living ones. Registers it, and returns the versions of the
 * others; with another fingerprint, returns false and does not register it.
 */
const registerScript = new Script(`
  local versions = {}
  local profiles = redis.call('HGETALL', KEYS[1])
  for index = 1, #profiles, 2 do
    if redis.call('EXISTS', ARGV[1] .. profiles[index]) == 0 then redis.call('HDEL', KEYS[1], profiles[index])
    else
      local other = cjson.decode(profiles[index + 1])
      if other.fingerprint ~= ARGV[3] then return false end
      table.insert(versions, other.version)
    end
  end
  redis.call('HSET', KEYS[1], ARGV[2], cjson.encode({ fingerprint = ARGV[3], version = ARGV[4] }))
  redis.call('SET', ARGV[1] .. ARGV[2], '1', 'PX', ARGV[5])
  return versions`);

/** Registers this instance. Throws StartupError when living instances have another SECRET_KEY. */
export async function register(instance: Instance, { fingerprint, version }: Profile, log: Log): Promise<void> {
  const values = [instance.alivePrefix, instance.id, fingerprint, version, instance.timing.aliveMs];
  const versions = (await instance.redis.run(registerScript, [instance.key('profiles')], values)) as string[] | null;
  if (versions === null)
    throw new StartupError(
      'SECRET_KEY differs from that of the running instances of this server; set the same SECRET_KEY, or the same DATA_DIR, in all of them',
    );
  const others = [...new Set(versions)].filter((other) => other !== version);
  if (others.length > 0)
    log.warn({ version, others }, 'other instances of this server run another version of Latchkey; update them too');
}
