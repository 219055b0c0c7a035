import { type FromWorker, fromPlainError } from './requests.ts';

interface Pending {
  resolve(reply: unknown): void;
  reject(error: Error): void;
}

/** Creates the table of requests that the worker thread has not answered yet. */
export function createPendingRequests() {
  const pending = new Map<number, Pending>();
  let nextId = 1;
  return {
    /** Sends a request under a new ID and returns its reply. Throws the error of the reply or of `failAll`. */
    async add<T>(send: (id: number) => void): Promise<T> {
      const id = nextId++;
      try {
        return await new Promise<T>((resolve, reject) => {
          pending.set(id, { resolve: resolve as Pending['resolve'], reject });
          send(id);
        });
      } finally {
        pending.delete(id);
      }
    },
    /** Passes a reply to its request. */
    settle(message: Extract<FromWorker, { id: number }>): void {
      const waiting = pending.get(message.id);
      pending.delete(message.id);
      if ('error' in message) waiting?.reject(fromPlainError(message.error));
      else waiting?.resolve(message.reply);
    },
    failAll(error: Error): void {
      for (const { reject } of pending.values()) reject(error);
      pending.clear();
    },
  };
}
