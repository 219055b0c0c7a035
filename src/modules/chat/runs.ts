import type { Log } from '../../log.ts';
import type { Background } from '../../store/background.ts';
import type { Database } from '../../store/database.ts';
import type { ChatEvent, IndexedEvent } from './events.ts';
import { interruptedMessage } from './turn-failure.ts';

/** The abort reason of a run that was interrupted by a shutdown. */
const shutdown = Symbol('shutdown');

/** Maximum number of concurrent answers of one user. */
export const maxRunsPerUser = 20;

/** An active or recently finished turn with its events, independent of any connection. */
export class ActiveRun {
  private readonly events: IndexedEvent[] = [];
  private readonly waiting = new Set<() => void>();
  private readonly controller = new AbortController();
  private readonly startedAt = performance.now();
  private over = false;
  private size = 0;
  /** The project of its session, or null. Moving the session changes it. */
  projectId: number | null = null;

  constructor(
    readonly id: string,
    readonly sessionId: string,
    readonly userId: string,
    readonly messageId: number,
  ) {}

  /** Aborts when the run is stopped. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  get ended(): boolean {
    return this.over;
  }

  /** The number of events so far. */
  get length(): number {
    return this.events.length;
  }

  /** The size of its events in characters: the text of deltas, and everything else as JSON. */
  get characters(): number {
    return this.size;
  }

  /** True when a shutdown of the server stopped the run. */
  get isInterrupted(): boolean {
    return this.signal.aborted && this.signal.reason === shutdown;
  }

  /** Stops the run on behalf of its reader. */
  stop(): void {
    this.controller.abort();
  }

  /** Stops the run because the server is shutting down. */
  interrupt(): void {
    this.controller.abort(shutdown);
  }

  emit(event: ChatEvent): void {
    if (this.over) throw new Error(`run ${this.id} is over and cannot emit ${event.type}`);
    this.over = event.type === 'stopped' || event.type === 'failed';
    const afterMs = Math.round(performance.now() - this.startedAt);
    this.events.push({ index: this.events.length, afterMs, ...event });
    this.size += 'text' in event ? event.text.length : JSON.stringify(event).length;
    for (const wake of this.waiting) wake();
    this.waiting.clear();
  }

  /** Yields the events from an index, including future ones, until the run ends or the reader disconnects. */
  async *read(from: number, signal?: AbortSignal): AsyncGenerator<IndexedEvent, void, undefined> {
    let wake = () => {};
    const gone = () => wake();
    signal?.addEventListener('abort', gone, { once: true });
    try {
      for (let index = from; ; index++) {
        while (index >= this.events.length && !this.over && !signal?.aborted)
          await new Promise<void>((resolve) => {
            wake = resolve;
            this.waiting.add(wake);
          });
        const event = this.events[index];
        if (!event || signal?.aborted) return;
        yield event;
      }
    } finally {
      this.waiting.delete(wake);
      signal?.removeEventListener('abort', gone);
    }
  }
}

/** Limits of the finished runs that are kept. */
export interface KeepLimits {
  /** Time since the end of each run. */
  milliseconds: number;
  runs: number;
  /** Total size of their events. */
  characters: number;
}

const keepLimits: KeepLimits = { milliseconds: 5 * 60_000, runs: 1000, characters: 64 * 2 ** 20 };

/**
 * Keeps finished runs for readers that resume: each for five minutes, at most 1,000 runs with at most 64 Mi characters
 * of events in total. Passes the oldest to `drop` first. A reader in the middle of a dropped run continues to its end.
 */
export class FinishedRuns {
  private readonly timers = new Map<ActiveRun, NodeJS.Timeout>();
  private characters = 0;

  constructor(
    private readonly drop: (run: ActiveRun) => void,
    private readonly limits: KeepLimits = keepLimits,
  ) {}

  add(run: ActiveRun): void {
    this.timers.set(run, setTimeout(() => this.remove(run), this.limits.milliseconds).unref());
    this.characters += run.characters;
    for (const oldest of this.timers.keys()) {
      if (this.timers.size <= this.limits.runs && this.characters <= this.limits.characters) return;
      this.remove(oldest);
    }
  }

  private remove(run: ActiveRun): void {
    clearTimeout(this.timers.get(run));
    this.timers.delete(run);
    this.characters -= run.characters;
    this.drop(run);
  }
}

/**
 * Creates the registry of the runs of this process: active runs, and finished runs as {@link FinishedRuns} keeps them.
 */
export function createRuns(db: Database, log: Log, background: Background) {
  const runs = new Map<string, ActiveRun>();
  /** The last run of each session. */
  const latest = new Map<string, ActiveRun>();
  const finished = new FinishedRuns((run) => {
    runs.delete(run.id);
    if (latest.get(run.sessionId) === run) latest.delete(run.sessionId);
  });
  let draining = false;

  /** UUIDs are case-insensitive. */
  const lastOf = (sessionId: string): ActiveRun | undefined => latest.get(sessionId.toLowerCase());

  return {
    /** Starts the work of a run, which does not depend on a connection. `work` never throws. */
    start(run: ActiveRun, work: (run: ActiveRun) => Promise<void>): void {
      runs.set(run.id, run);
      latest.set(run.sessionId, run);
      background.run('chat run', () => work(run).finally(() => finished.add(run)));
    },

    get: (id: string): ActiveRun | undefined => runs.get(id.toLowerCase()),

    /** Returns the active or last run of a session, as long as it is kept. */
    lastOf,

    /** Returns the active run of a session. */
    ofSession(sessionId: string): ActiveRun | undefined {
      const run = lastOf(sessionId);
      return run?.ended ? undefined : run;
    },

    ofUser: (userId: string): ActiveRun[] => [...runs.values()].filter((run) => run.userId === userId && !run.ended),

    get draining(): boolean {
      return draining;
    },

    /**
     * Waits until all runs have ended. Interrupts the runs that are still active after `patienceMs` milliseconds; their
     * text is kept.
     */
    async drain(patienceMs: number): Promise<void> {
      draining = true;
      const timer = setTimeout(() => {
        for (const run of runs.values()) run.interrupt();
      }, patienceMs);
      await background.settled();
      clearTimeout(timer);
    },

    /** Marks answers that a crash interrupted, so that readers know they are incomplete. */
    async markInterrupted(): Promise<void> {
      const error = interruptedMessage;
      const [, { count }] = await db.prisma.$transaction([
        db.prisma.chatMessage.updateMany({
          where: { run: { status: 'RUNNING' } },
          data: { status: 'INTERRUPTED', error },
        }),
        db.prisma.run.updateMany({
          where: { status: 'RUNNING' },
          data: { status: 'INTERRUPTED', error, endedAt: new Date() },
        }),
      ]);
      if (count > 0) log.warn({ runs: count }, 'marked runs of an earlier process as interrupted');
    },
  };
}

export type Runs = ReturnType<typeof createRuns>;
