/** Releases the amount. Further calls have no effect. */
export type Release = () => void;

export interface Shares {
  /** Waits for an amount. An amount above a limit waits until the holder has released everything, or until everything is free. */
  wait(holder: string, amount: number): Promise<Release>;
}

/**
 * Limits the concurrent use of a resource, with a limit for each holder, so that one holder cannot use all of it.
 * Requests are served in order, except those whose holder has already reached its limit.
 */
export function createShares(perHolder: number, total: number): Shares {
  const held = new Map<string, number>();
  let sum = 0;
  const waiting: { holder: string; amount: number; serve: (release: Release) => void }[] = [];

  function take(holder: string, amount: number): Release | null {
    const own = held.get(holder) ?? 0;
    if (own + amount > perHolder || sum + amount > total) return null;
    held.set(holder, own + amount);
    sum += amount;
    let released = false;
    return () => {
      if (released) return;
      released = true;
      const left = (held.get(holder) ?? 0) - amount;
      if (left > 0) held.set(holder, left);
      else held.delete(holder);
      sum -= amount;
      serveWaiting();
    };
  }

  function serveWaiting(): void {
    for (let at = 0; at < waiting.length; ) {
      const next = waiting[at] as (typeof waiting)[number];
      const release = take(next.holder, next.amount);
      if (release) {
        waiting.splice(at, 1);
        next.serve(release);
      } else at++;
    }
  }

  return {
    wait(holder, amount) {
      const possible = Math.min(amount, perHolder, total);
      const release = waiting.some((other) => other.holder === holder) ? null : take(holder, possible);
      if (release) return Promise.resolve(release);
      return new Promise((serve) => {
        waiting.push({ holder, amount: possible, serve });
      });
    },
  };
}
