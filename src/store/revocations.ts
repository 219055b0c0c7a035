import type { Principal } from '../authz/principal.ts';

/** Ends what a credential has open, at the moment at which it dies. */
export interface Revocations {
  /** Aborts when the credential, or its user, is ended, or when the credential expires. Call `done` when finished. */
  watch(principal: Principal): { signal: AbortSignal; done(): void };
  endToken(tokenId: number): void;
  endUser(userId: string): void;
}

interface Watcher {
  tokenId: number;
  userId: string;
  controller: AbortController;
}

/** The longest delay that a timer of Node's can have, in milliseconds. */
const longestTimer = 2 ** 31 - 1;

/** How long an end is remembered, for requests that were let in just before it. Milliseconds. */
const memoryMs = 10 * 60_000;

export function createRevocations(): Revocations {
  const watchers = new Set<Watcher>();
  /** When each token or user was last ended, by the process's own clock, which never goes back. */
  const ended = new Map<number | string, number>();
  const remember = (id: number | string) => {
    const now = performance.now();
    for (const [old, at] of ended) if (at < now - memoryMs) ended.delete(old);
    ended.set(id, now);
  };
  const end = (matches: (watcher: Watcher) => boolean) => {
    for (const watcher of watchers) if (matches(watcher)) watcher.controller.abort();
  };
  return {
    watch({ userId, credential, authenticatedAt }) {
      const watcher = { tokenId: credential.tokenId, userId, controller: new AbortController() };
      watchers.add(watcher);
      const endedAt = Math.max(ended.get(credential.tokenId) ?? 0, ended.get(userId) ?? 0);
      if (endedAt > authenticatedAt) watcher.controller.abort();
      const left = credential.expiresAt ? credential.expiresAt.getTime() - Date.now() : Number.POSITIVE_INFINITY;
      const timer = left <= longestTimer ? setTimeout(() => watcher.controller.abort(), left).unref() : undefined;
      return {
        signal: watcher.controller.signal,
        done() {
          clearTimeout(timer);
          watchers.delete(watcher);
        },
      };
    },
    endToken(tokenId) {
      remember(tokenId);
      end((watcher) => watcher.tokenId === tokenId);
    },
    endUser(userId) {
      remember(userId);
      end((watcher) => watcher.userId === userId);
    },
  };
}
