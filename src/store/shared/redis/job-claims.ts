import type { JobClaims } from '../job-claims.ts';
import type { Instance } from './instance.ts';
import { Script } from './script.ts';

/** Claims a job that is due, or whose run ended with its instance. */
const claimScript = new Script(`
  local owner = redis.call('GET', KEYS[1])
  if owner and (owner == 'finished' or redis.call('EXISTS', ARGV[1] .. owner) == 1) then return 0 end
  redis.call('SET', ARGV[1] .. ARGV[2], '1', 'PX', ARGV[4])
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  return 1`);

const finishScript = new Script(`
  if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], 'finished', 'KEEPTTL') end
  return 1`);

/** Time between two attempts to claim a job, in milliseconds: the delay until the job of a killed instance runs again. */
const pollMs = 30_000;

/** The timers of two instances differ by less than this share of an interval. */
const tolerance = 0.1;

/** The claims of all instances: each job runs once per interval. No job runs while Redis is unavailable. */
export const redisJobClaims = (instance: Instance): JobClaims => ({
  pollMs,
  async claim(job, everyMs) {
    const keepMs = Math.ceil(everyMs * (1 - tolerance));
    const values = [instance.alivePrefix, instance.id, keepMs, instance.timing.aliveMs];
    try {
      return (await instance.redis.run(claimScript, [instance.key('job', job)], values)) === 1;
    } catch {
      return false;
    }
  },
  async finish(job) {
    await instance.redis.run(finishScript, [instance.key('job', job)], [instance.id]).catch(() => {});
  },
});
