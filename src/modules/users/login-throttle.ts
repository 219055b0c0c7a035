import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import type { Client } from '../../authz/principal.ts';
import { rateLimited, unavailable } from '../../errors.ts';
import { type Counter, type Counters, secondsUntilAllowed } from '../../store/shared/counters.ts';

/** Counts the attempts by account and by address. */
export interface AttemptCounters {
  account: Pick<Counter, 'consume' | 'delete'>;
  address: Pick<Counter, 'consume' | 'reward'>;
  registration: Pick<Counter, 'consume' | 'reward'>;
}

/** 15 minutes. */
const seconds = 15 * 60;

/** Creates the counters of attempts, in which each attempt in the last 15 minutes counts. */
export const attemptCounters = (counters: Counters): AttemptCounters => ({
  account: counters.create('login-account', { points: 10, seconds, onFailure: 'reject' }),
  address: counters.create('login-address', { points: 50, seconds, onFailure: 'reject' }),
  registration: counters.create('registration-address', { points: 50, seconds, onFailure: 'reject' }),
});

/** Rejects above the limit and whenever the counter fails, so that passwords cannot be guessed while it is broken. */
async function limited(use: () => Promise<unknown>): Promise<void> {
  try {
    await use();
  } catch (error) {
    const retryAfter = secondsUntilAllowed(error);
    throw retryAfter === null
      ? unavailable('SHARED_STATE_UNAVAILABLE', 'Login attempts cannot be counted right now. Try again later.')
      : rateLimited('LOGIN_ATTEMPTS', 'Too many attempts. Try again later.', retryAfter);
  }
}

/** A fixed-length key that does not reveal the login in a memory dump. */
const accountKey = (login: string): string => createHash('sha256').update(login.toLowerCase()).digest('base64');

/** The first 64 bits of an IPv6 address, since a client usually controls all addresses with that prefix. */
export function addressKey({ address }: Client): string {
  if (address === null) return 'unknown';
  if (isIP(address) !== 6 || address.includes('.')) return address;
  const [head = '', tail] = address.split('%')[0]?.split('::') ?? [];
  const groups = (text: string) => text.split(':').filter(Boolean);
  const [before, after] = [groups(head), groups(tail ?? '')];
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  return [...before, ...Array<string>(zeros).fill('0'), ...after]
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':');
}

/**
 * Creates the throttle for login attempts: within 15 minutes, 10 failed attempts per account, whether it exists or not,
 * and 50 per address. An attempt is counted before its password is checked, so that concurrent attempts count too.
 */
export function createLoginThrottle({ account, address, registration }: AttemptCounters) {
  return {
    /**
     * Counts an attempt, as failed until `succeeded` is called. Throws RATE_LIMITED with `retryAfter` in seconds, and
     * UNAVAILABLE when the attempt cannot be counted.
     */
    async login(
      login: string,
      client: Client,
    ): Promise<{
      /** Also counts the attempt for the account with this name: an account can have two names. */
      on(userId: string): Promise<void>;
      succeeded(): Promise<void>;
    }> {
      const [who, where] = [accountKey(login), addressKey(client)];
      const names = [who];
      // An address above its limit must not use up the attempts of an account.
      await limited(() => address.consume(where));
      await limited(() => account.consume(who));
      return {
        async on(userId) {
          names.push(accountKey(userId));
          await limited(() => account.consume(accountKey(userId)));
        },
        succeeded: () =>
          limited(() => Promise.all([...names.map((name) => account.delete(name)), address.reward(where)])),
      };
    },

    /**
     * Counts a registration attempt, as failed until `succeeded` is called: 50 in 15 minutes from an address. Throws
     * RATE_LIMITED with `retryAfter` in seconds, and UNAVAILABLE when the attempt cannot be counted.
     */
    async registration(client: Client): Promise<{ succeeded(): Promise<void> }> {
      const where = addressKey(client);
      await limited(() => registration.consume(where));
      return {
        // The account exists by now. If the counter fails, one attempt too many is counted.
        succeeded: () =>
          registration.reward(where).then(
            () => undefined,
            () => undefined,
          ),
      };
    },
  };
}

export type Attempts = ReturnType<typeof createLoginThrottle>;
