/** Tells all processes that data which they keep in memory has changed. */
export interface Changes {
  /** Announces that the data of a topic changed. Called after the change is committed. */
  announce(topic: string): Promise<void>;
  /** Calls `reload` when another process has changed the data of a topic. A failed reload is repeated. */
  follow(topic: string, reload: () => Promise<void>): void;
}

/** The changes of a process that shares its data with no other. */
export const inMemoryChanges = (): Changes => ({ announce: async () => {}, follow: () => {} });
