import { type Changes, inMemoryChanges } from './changes.ts';
import { type Counters, inMemoryCounters } from './counters.ts';
import { inMemoryJobClaims, type JobClaims } from './job-claims.ts';
import { inMemoryLeases, type Leases } from './leases.ts';
import { inMemoryLocks, type Locks } from './locks.ts';
import { inMemoryRevocations, type Revocations } from './revocations.ts';
import { inMemoryRuns, type RunRegistry } from './runs.ts';

/** The processes that share the state. */
interface Instances {
  /**
   * Returns the instances that died and whose work is not taken over yet, and whether this is the only living one. Null
   * while that is unknown, because the store has lost its data. Throws when the store is unavailable.
   */
  others(): Promise<{ dead: string[]; isAlone: boolean } | null>;
  /** Forgets dead instances whose work was taken over. Throws when the store is unavailable. */
  forget(ids: readonly string[]): Promise<void>;
}

/** State that all processes of a server share. Callers do not know where it is kept. */
export interface SharedState {
  counters: Counters;
  locks: Locks;
  leases: Leases;
  jobs: JobClaims;
  revocations: Revocations;
  changes: Changes;
  /** Creates the registry of runs with one type of events. Called once. */
  createRuns<Event>(): RunRegistry<Event>;
  /** Null for a server with one process. */
  instances: Instances | null;
  /** Leaves the other processes. */
  close(): Promise<void>;
}

/** The shared state of a server with one process. It starts over with the process. */
export const inMemoryState = (): SharedState => ({
  counters: inMemoryCounters(),
  locks: inMemoryLocks(),
  leases: inMemoryLeases(),
  jobs: inMemoryJobClaims(),
  revocations: inMemoryRevocations(),
  changes: inMemoryChanges(),
  createRuns: inMemoryRuns,
  instances: null,
  close: async () => {},
});
