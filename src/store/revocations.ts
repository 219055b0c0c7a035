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

export function createRevocations(): Revocations {
  const watchers = new Set<Watcher>();
  const end = (matches: (watcher: Watcher) => boolean) => {
    for (const watcher of watchers) if (matches(watcher)) watcher.controller.abort();
  };
  return {
    watch({ userId, credential }) {
      const watcher = { tokenId: credential.tokenId, userId, controller: new AbortController() };
      watchers.add(watcher);
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
    endToken: (tokenId) => end((watcher) => watcher.tokenId === tokenId),
    endUser: (userId) => end((watcher) => watcher.userId === userId),
  };
}
