/**
 * Returns a function that limits concurrency. Users take turns, so that many tasks of one user do not delay another.
 */
export function fairLanes(count: number) {
  /** Waiting tasks by user; the user whose turn is next comes first. */
  const waiting = new Map<string, (() => void)[]>();
  let free = count;

  function wait(userId: string): Promise<void> {
    return new Promise((resolve) => {
      const before = waiting.get(userId);
      if (before) before.push(resolve);
      else waiting.set(userId, [resolve]);
    });
  }

  function next(): void {
    const [first] = waiting;
    if (!first) {
      free++;
      return;
    }
    const [userId, [begin, ...rest]] = first;
    waiting.delete(userId);
    if (rest.length > 0) waiting.set(userId, rest);
    begin?.();
  }

  return async <T>(userId: string, work: () => Promise<T>): Promise<T> => {
    if (free > 0) free--;
    else await wait(userId);
    try {
      return await work();
    } finally {
      next();
    }
  };
}
