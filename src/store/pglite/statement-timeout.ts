/** Number of times that a deadline is checked. */
const ticks = 20;

/**
 * Calls `expire` after a timeout in milliseconds, unless the returned function is called before. Counts ticks instead of
 * reading the clock, so that time during which this process was suspended, or too busy to receive a reply, does not
 * count.
 */
export function afterTimeout(timeoutMs: number, expire: () => void): () => void {
  let left = ticks;
  const timer = setInterval(() => {
    if (--left > 0) return;
    clearInterval(timer);
    expire();
  }, timeoutMs / ticks);
  return () => clearInterval(timer);
}
