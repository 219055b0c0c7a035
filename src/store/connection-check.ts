import type { Connection } from './pg-connection.ts';

/**
 * Returns a function that checks whether the current connection responds. Simultaneous calls share one statement. A
 * connection that does not respond is ended.
 */
export function createConnectionCheck(current: () => Connection | null): () => Promise<boolean> {
  let checking: Promise<boolean> | null = null;

  async function ask(): Promise<boolean> {
    const asked = current();
    if (!asked) return false;
    try {
      await asked.query('SELECT 1');
      return current() === asked;
    } catch {
      void asked.end();
      return false;
    }
  }

  return () => {
    // Also without a connection, where `ask` returns before the assignment: the next check must ask again.
    checking ??= ask().finally(() => {
      checking = null;
    });
    return checking;
  };
}
