/** A run that any process can read and stop, whichever process executes it. */
export interface SharedRun<Event> {
  readonly id: string;
  readonly sessionId: string;
  readonly userId: string;
  /** The message that the run answers with; 0 for a completion, which only the client that requested it reads. */
  readonly messageId: number;
  /** The project of its session, or null. Moving the session changes it. */
  readonly projectId: number | null;
  /** The number of events so far. */
  readonly length: number;
  readonly ended: boolean;
  /** Yields the events from an index, including future ones, until the run ends or the signal aborts. */
  read(from: number, signal?: AbortSignal): AsyncGenerator<Event, void, undefined>;
  /** Stops the run on behalf of its reader. Throws UNAVAILABLE when the process that executes it cannot be reached. */
  stop(): Promise<void>;
}

/** A run that this process executes. */
export interface OwnRun<Event> extends SharedRun<Event> {
  projectId: number | null;
  /** The events so far. */
  readonly events: readonly Event[];
  /** The size of its events in characters. */
  readonly characters: number;
}

/**
 * The active runs of all processes, and the finished ones that are kept for readers that resume: each for five minutes,
 * at most 1,000 runs with at most 64 Mi characters of events in total. The oldest is dropped first. A reader in the
 * middle of a dropped run continues to its end.
 */
export interface RunRegistry<Event> {
  /** Registers a run of this process before its first event is read. */
  add(run: OwnRun<Event>): Promise<void>;
  /** Keeps an ended run of this process. */
  keep(run: OwnRun<Event>): Promise<void>;
  /**
   * Returns a run by its ID, or null. IDs are case-insensitive. Throws UNAVAILABLE when the runs of other processes
   * cannot be read.
   */
  find(id: string): Promise<SharedRun<Event> | null>;
  /**
   * Returns the active or last run of a session, or null when it is not kept. Throws UNAVAILABLE when the runs of other
   * processes cannot be read.
   */
  lastOf(sessionId: string): Promise<SharedRun<Event> | null>;
  /** Sets the project of the last run of a session. */
  setProject(sessionId: string, projectId: number | null): Promise<void>;
  /** Returns those of some runs that no living process executes. Throws UNAVAILABLE. */
  abandoned(ids: readonly string[]): Promise<string[]>;
  /** Ends the events of an abandoned run with an event for its readers. Throws UNAVAILABLE. */
  endAbandoned(id: string, last: (index: number) => Event): Promise<void>;
}

/** Limits of the finished runs that are kept. */
export interface KeepLimits {
  /** Time since the end of each run. */
  milliseconds: number;
  runs: number;
  /** Total size of their events. */
  characters: number;
}

export const keepLimits: KeepLimits = { milliseconds: 5 * 60_000, runs: 1000, characters: 64 * 2 ** 20 };

/** Finished runs within limits. Passes the oldest to `drop` first. */
export class FinishedRuns<Run extends { readonly characters: number }> {
  private readonly timers = new Map<Run, NodeJS.Timeout>();
  private characters = 0;

  constructor(
    private readonly drop: (run: Run) => void,
    private readonly limits: KeepLimits = keepLimits,
  ) {}

  add(run: Run): void {
    this.timers.set(run, setTimeout(() => this.remove(run), this.limits.milliseconds).unref());
    this.characters += run.characters;
    for (const oldest of this.timers.keys()) {
      if (this.timers.size <= this.limits.runs && this.characters <= this.limits.characters) return;
      this.remove(oldest);
    }
  }

  private remove(run: Run): void {
    clearTimeout(this.timers.get(run));
    this.timers.delete(run);
    this.characters -= run.characters;
    this.drop(run);
  }
}

/** The runs of this process. */
export function inMemoryRuns<Event>(): RunRegistry<Event> {
  const runs = new Map<string, OwnRun<Event>>();
  /** The last run of each session. */
  const latest = new Map<string, OwnRun<Event>>();
  const finished = new FinishedRuns<OwnRun<Event>>((run) => {
    runs.delete(run.id);
    if (latest.get(run.sessionId) === run) latest.delete(run.sessionId);
  });
  const lastOf = (sessionId: string) => latest.get(sessionId.toLowerCase()) ?? null;
  return {
    async add(run) {
      runs.set(run.id, run);
      latest.set(run.sessionId, run);
    },
    async keep(run) {
      finished.add(run);
    },
    find: async (id) => runs.get(id.toLowerCase()) ?? null,
    lastOf: async (sessionId) => lastOf(sessionId),
    async setProject(sessionId, projectId) {
      const run = lastOf(sessionId);
      if (run) run.projectId = projectId;
    },
    abandoned: async (ids) => ids.filter((id) => !runs.has(id)),
    // An abandoned run has no events in a new process.
    endAbandoned: async () => {},
  };
}
