import { setTimeout as delay } from 'node:timers/promises';
import { StartupError } from '../startup-error.ts';

/** Held while this process is the only one that uses the database. */
export interface InstanceLock {
  release(): Promise<void>;
}

/** Another instance uses the database. The message is one line for the operator. */
export class AlreadyRunningError extends StartupError {
  override readonly name = 'AlreadyRunningError';
}

export interface LockOptions {
  /**
   * Whether other instances that share their state may use the database as well. It is then only locked against
   * instances that do not. Defaults to false.
   */
  isShared?: boolean;
  /** Maximum time to wait for another instance to exit, in milliseconds. Defaults to 30 seconds. */
  waitMs?: number;
  /**
   * Called when another instance has taken the lock of this one. This instance must then stop immediately, because two
   * instances do not share their answers and revocations. The message is one line for the operator.
   */
  onLost?: (message: string) => void;
}

/** Maximum duration of a rolling restart, in which the new instance waits for the old one to exit, in milliseconds. */
export const rollingRestartMs = 30_000;
const pollMs = 250;

/**
 * Calls `take` until it returns something other than false or null, and returns that. Throws AlreadyRunningError with
 * the given message after `waitMs`.
 */
export async function waitFor<T>(take: () => Promise<T | false | null>, waitMs: number, message: string): Promise<T> {
  for (const deadline = Date.now() + waitMs; ; await delay(pollMs)) {
    const taken = await take();
    if (taken !== false && taken !== null) return taken;
    if (Date.now() >= deadline) throw new AlreadyRunningError(message);
  }
}
