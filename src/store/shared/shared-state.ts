import { type Counters, inMemoryCounters } from './counters.ts';
import { inMemoryJobClaims, type JobClaims } from './job-claims.ts';
import { inMemoryLeases, type Leases } from './leases.ts';
import { inMemoryLocks, type Locks } from './locks.ts';
import { inMemoryRevocations, type Revocations } from './revocations.ts';
import { inMemoryRuns, type RunRegistry } from './runs.ts';

/** State that all processes of a server share. Callers do not know where it is kept. */
export interface SharedState {
  counters: Counters;
  locks: Locks;
  leases: Leases;
  jobs: JobClaims;
  revocations: Revocations;
  /** Creates the registry of runs with one type of events. Called once. */
  createRuns<Event>(): RunRegistry<Event>;
}

/** The shared state of a server with one process. It starts over with the process. */
export const inMemoryState = (): SharedState => ({
  counters: inMemoryCounters(),
  locks: inMemoryLocks(),
  leases: inMemoryLeases(),
  jobs: inMemoryJobClaims(),
  revocations: inMemoryRevocations(),
  createRuns: inMemoryRuns,
});
