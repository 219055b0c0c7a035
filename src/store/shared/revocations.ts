import type { Principal } from '../../authz/principal.ts';

/**
 * Ends open streams and runs when their credential ends. An end is published to all processes; each process answers
 * `watch` and `ended` from its own memory, so that neither waits.
 */
export interface Revocations {
  /**
   * Returns a signal that aborts when the credential or its user is ended, or when the credential expires. Call `done`
   * when finished.
   */
  watch(principal: Principal): { signal: AbortSignal; done(): void };
  /** Returns whether the credential was ended after it was looked up, for requests that take long to arrive. */
  ended(principal: Principal): boolean;
  /** Ends everything that was opened with a token before this call, now or at a later time. */
  endToken(tokenId: number, at?: Date): Promise<void>;
  /** Ends everything that was opened with any credential of a user, or with a token of the user's projects. */
  endUser(userId: string, at?: Date): Promise<void>;
}

interface Watcher {
  tokenId: number;
  userIds: readonly (string | null)[];
  /** By the monotonic clock. */
  authenticatedAt: number;
  /** The time of the end, by the system clock. */
  due: number;
  controller: AbortController;
  timer?: NodeJS.Timeout;
}

/** A scheduled end: when it was set, by the monotonic clock, and the time that it is set to. */
interface End {
  setAt: number;
  time: number;
}

/** The longest delay of a timer in Node, in milliseconds. */
const maxTimerMs = 2 ** 31 - 1;

/** Time that an end is remembered, for requests that were authenticated shortly before it was set. Milliseconds. */
export const memoryMs = 10 * 60_000;

const isOf = ({ tokenId, userIds }: Watcher, ended: Ended): boolean =>
  'tokenId' in ended ? tokenId === ended.tokenId : userIds.includes(ended.userId);

/** The token or the user whose requests end. */
export type Ended = { tokenId: number } | { userId: string };

export interface LocalRevocations extends Revocations {
  /**
   * Ends what was opened before `setAt`, by the monotonic clock of this process. Defaults to now and to the time of the
   * call.
   */
  end(ended: Ended, at?: Date, setAt?: number): void;
}

/** The revocations of this process. */
export function inMemoryRevocations(): LocalRevocations {
  const watchers = new Set<Watcher>();
  const ends = new Map<number | string, End[]>();
  /** Ends everything that is due at once: a reader ends together with the run that it reads. */
  const endDue = (time: number) => {
    for (const watcher of watchers) if (watcher.due <= time) watcher.controller.abort();
  };
  const endBy = (watcher: Watcher, time: number) => {
    if (time >= watcher.due) return;
    watcher.due = time;
    clearTimeout(watcher.timer);
    const left = time - Date.now();
    if (left > 0 && left <= maxTimerMs) watcher.timer = setTimeout(endDue, left, time).unref();
  };
  const end: LocalRevocations['end'] = (ended, at, setAt = performance.now()) => {
    const id = 'tokenId' in ended ? ended.tokenId : ended.userId;
    const oldest = performance.now() - memoryMs;
    for (const [old, known] of ends) {
      const recent = known.filter((each) => each.setAt >= oldest);
      if (recent.length > 0) ends.set(old, recent);
      else ends.delete(old);
    }
    const time = at?.getTime() ?? Number.NEGATIVE_INFINITY;
    ends.set(id, [...(ends.get(id) ?? []), { setAt, time }]);
    for (const watcher of watchers) if (watcher.authenticatedAt < setAt && isOf(watcher, ended)) endBy(watcher, time);
    endDue(Date.now());
  };
  return {
    end,
    ended({ userId, credential, authenticatedAt }) {
      const now = Date.now();
      const set = [credential.tokenId, userId, credential.projectOwnerId].flatMap((id) => ends.get(id ?? '') ?? []);
      return (
        set.some(({ setAt, time }) => setAt > authenticatedAt && time <= now) ||
        (credential.expiresAt !== null && credential.expiresAt.getTime() <= now)
      );
    },
    watch({ userId, credential, authenticatedAt }) {
      const watcher: Watcher = {
        tokenId: credential.tokenId,
        userIds: [userId, credential.projectOwnerId],
        authenticatedAt,
        due: Number.POSITIVE_INFINITY,
        controller: new AbortController(),
      };
      watchers.add(watcher);
      for (const id of [credential.tokenId, ...watcher.userIds])
        for (const { setAt, time } of ends.get(id ?? '') ?? []) if (setAt > authenticatedAt) endBy(watcher, time);
      if (credential.expiresAt) endBy(watcher, credential.expiresAt.getTime());
      endDue(Date.now());
      return {
        signal: watcher.controller.signal,
        done() {
          clearTimeout(watcher.timer);
          watchers.delete(watcher);
        },
      };
    },
    endToken: async (tokenId, at) => end({ tokenId }, at),
    endUser: async (userId, at) => end({ userId }, at),
  };
}
