import { setTimeout as delay } from 'node:timers/promises';

export interface Deferred<T> {
  promise: Promise<T>;
  resolve(value: T): void;
}

/** Returns a promise with the function that resolves it. `Promise.withResolvers` does not exist in Node 20. */
export function deferred<T = void>(): Deferred<T> {
  let resolve: Deferred<T>['resolve'] = () => {};
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** Waits for a promise, but for at most this time. Milliseconds. */
export async function within(ms: number, promise: Promise<unknown>): Promise<void> {
  const timer = new AbortController();
  try {
    await Promise.race([promise, delay(ms, undefined, timer).catch(() => {})]);
  } finally {
    timer.abort();
  }
}

/** Waits for a promise, but only until the signal aborts. */
export async function unlessAborted(promise: Promise<unknown>, signal: AbortSignal): Promise<void> {
  const aborted = deferred();
  const abort = () => aborted.resolve();
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  try {
    await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
