import { createHash } from 'node:crypto';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { Client } from '../../authz/principal.ts';
import { AppError } from '../../errors.ts';

/** What this needs of a limiter of rate-limiter-flexible. `consume` rejects with a RateLimiterRes above the limit. */
export interface Limiter {
  consume(key: string): Promise<unknown>;
  reward(key: string): Promise<unknown>;
  delete(key: string): Promise<unknown>;
}

export interface AttemptLimiters {
  account: Limiter;
  address: Limiter;
  registration: Limiter;
}

/** 15 minutes, in seconds. */
const duration = 15 * 60;

const inMemory = (): AttemptLimiters => ({
  account: new RateLimiterMemory({ points: 10, duration }),
  address: new RateLimiterMemory({ points: 50, duration }),
  registration: new RateLimiterMemory({ points: 50, duration }),
});

/** Refuses above the limit, and whenever the limiter cannot tell: nobody guesses passwords while it is broken. */
async function limited(use: () => Promise<unknown>): Promise<void> {
  try {
    await use();
  } catch (error) {
    const retryAfter = error instanceof RateLimiterRes ? Math.max(1, Math.ceil(error.msBeforeNext / 1000)) : duration;
    throw new AppError('RATE_LIMITED', 'Too many attempts. Try again later.', { retryAfter });
  }
}

/** Of one length, and nothing that a dump of memory could tell. */
const accountKey = (login: string): string => createHash('sha256').update(login.toLowerCase()).digest('base64');
const addressKey = ({ address }: Client): string => address ?? 'unknown';

/**
 * Counts attempts to log in: in 15 minutes an account may see 10 that fail, whether it exists or not, and an address
 * may make 50. An attempt is counted before its password is looked at, so that those at the same time count too.
 */
export function createAttempts({ account, address, registration }: AttemptLimiters = inMemory()) {
  return {
    /** Counts an attempt, as failed until `succeeded` is called. Throws RATE_LIMITED with `retryAfter` in seconds. */
    async login(login: string, client: Client): Promise<{ succeeded(): Promise<void> }> {
      const [who, where] = [accountKey(login), addressKey(client)];
      // An address that is over its limit must not use up the attempts of an account.
      await limited(() => address.consume(where));
      await limited(() => account.consume(who));
      return {
        succeeded: () => limited(() => Promise.all([account.delete(who), address.reward(where)])),
      };
    },

    /** Counts an attempt to register: 50 in 15 minutes from an address. Throws RATE_LIMITED. */
    registration: (client: Client): Promise<void> => limited(() => registration.consume(addressKey(client))),
  };
}

export type Attempts = ReturnType<typeof createAttempts>;
