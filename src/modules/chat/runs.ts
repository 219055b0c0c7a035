import { AppError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { Background } from '../../store/background.ts';
import type { Database } from '../../store/database.ts';
import type { OwnRun, RunRegistry, SharedRun } from '../../store/shared/runs.ts';
import type { ChatEvent, IndexedEvent } from './events.ts';
import { type MarkOptions, markInterrupted } from './interrupted-runs.ts';

/** The abort reason of a run that was interrupted by a shutdown. */
const shutdown = Symbol('shutdown');

/** A run that this process executes, with its events. It is independent of any connection. */
export class ActiveRun implements OwnRun<IndexedEvent> {
  readonly events: IndexedEvent[] = [];
  private readonly waiting = new Set<() => void>();
  private readonly controller = new AbortController();
  private readonly startedAt = performance.now();
  private over = false;
  private size = 0;
  private firstTextAt: number | null = null;
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

  /** Time from the start of the run to its first text or reasoning, in seconds; null before. */
  get firstTextAfter(): number | null {
    return this.firstTextAt === null ? null : (this.firstTextAt - this.startedAt) / 1000;
  }

  /** True when a shutdown of the server stopped the run. */
  get isInterrupted(): boolean {
    return this.signal.aborted && this.signal.reason === shutdown;
  }

  /** Stops the run on behalf of its reader. */
  async stop(): Promise<void> {
    this.controller.abort();
  }

  /** Stops the run because the server is shutting down. */
  interrupt(): void {
    this.controller.abort(shutdown);
  }

  emit(event: ChatEvent): void {
    if (this.over) throw new Error(`run ${this.id} is over and cannot emit ${event.type}`);
    this.over = event.type === 'stopped' || event.type === 'failed';
    const now = performance.now();
    if ('text' in event) this.firstTextAt ??= now;
    const afterMs = Math.round(now - this.startedAt);
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

/** An active or recently finished run of a chat, in any process. */
export type ChatRun = SharedRun<IndexedEvent>;

interface RunsDeps {
  db: Database;
  log: Log;
  background: Background;
  registry: RunRegistry<IndexedEvent>;
}

/** Creates the service that executes runs in this process, and finds the runs of all processes. */
export function createRuns({ db, log, background, registry }: RunsDeps) {
  /** The runs that this process executes. */
  const own = new Set<ActiveRun>();
  let draining = false;

  async function activeOf(sessionId: string): Promise<ChatRun | null> {
    const run = await registry.lastOf(sessionId);
    return run?.ended ? null : run;
  }

  return {
    /** Starts the work of a run, which does not depend on a connection. `work` never throws. */
    async start(run: ActiveRun, work: (run: ActiveRun) => Promise<void>): Promise<void> {
      const added = registry.add(run);
      own.add(run);
      // Begins before `added` settles, so that a shutdown waits for it.
      background.run('chat run', async () => {
        await added;
        try {
          await work(run);
        } finally {
          own.delete(run);
          await registry.keep(run);
        }
      });
      await added;
    },

    /** Returns a run by its ID, or null. */
    find: (id: string): Promise<ChatRun | null> => registry.find(id),

    /** Returns the active or last run of a session, as long as it is kept. */
    lastOf: (sessionId: string): Promise<ChatRun | null> => registry.lastOf(sessionId),

    /** Returns the active run of a session. Null when the runs of other processes cannot be read right now. */
    ofSession: (sessionId: string): Promise<ChatRun | null> =>
      activeOf(sessionId).catch((error: unknown) => {
        if (error instanceof AppError && error.code === 'UNAVAILABLE') return null;
        throw error;
      }),

    /**
     * Stops the active run of a session and keeps its text. Returns whether there was one. Throws UNAVAILABLE when the
     * process that executes it cannot be reached.
     */
    async stop(sessionId: string): Promise<boolean> {
      const run = await activeOf(sessionId);
      await run?.stop();
      return run !== null;
    },

    /** Sets the project of the last run of a session: tokens of the previous project can no longer read it. */
    setProject: (sessionId: string, projectId: number | null): Promise<void> =>
      registry.setProject(sessionId, projectId),

    /** Returns the number of runs that this process executes. */
    running: () => own.size,

    get draining(): boolean {
      return draining;
    },

    /**
     * Waits until all runs of this process have ended. Interrupts the runs that are still active after `patienceMs`
     * milliseconds; their text is kept.
     */
    async drain(patienceMs: number): Promise<void> {
      draining = true;
      const timer = setTimeout(() => {
        for (const run of own) run.interrupt();
      }, patienceMs);
      await background.settled();
      clearTimeout(timer);
    },

    /** See {@link markInterrupted}. */
    markInterrupted: (options?: MarkOptions) => markInterrupted({ db, log, registry }, options),
  };
}

export type Runs = ReturnType<typeof createRuns>;
