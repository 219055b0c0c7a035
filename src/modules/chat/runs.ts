import type { Log } from '../../log.ts';
import type { Background } from '../../store/background.ts';
import type { Database } from '../../store/database.ts';
import type { OwnRun, RunRegistry, SharedRun } from '../../store/shared/runs.ts';
import type { ChatEvent, IndexedEvent } from './events.ts';
import { interruptedMessage } from './turn-failure.ts';

/** The abort reason of a run that was interrupted by a shutdown. */
const shutdown = Symbol('shutdown');

/** A run that this process executes, with its events. It is independent of any connection. */
export class ActiveRun implements OwnRun<IndexedEvent> {
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

/** An active or recently finished run of a chat, in any process. */
export type ChatRun = SharedRun<IndexedEvent>;

interface RunsDeps {
  db: Database;
  log: Log;
  background: Background;
  registry: RunRegistry<IndexedEvent>;
}

/** Marks answers that a crash interrupted, so that readers know they are incomplete. */
async function markInterrupted(db: Database, log: Log): Promise<void> {
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
}

/** Creates the service that executes runs in this process, and finds the runs of all processes. */
export function createRuns({ db, log, background, registry }: RunsDeps) {
  /** The runs that this process executes. */
  const own = new Set<ActiveRun>();
  let draining = false;

  async function ofSession(sessionId: string): Promise<ChatRun | null> {
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
    find: registry.find,

    /** Returns the active or last run of a session, as long as it is kept. */
    lastOf: registry.lastOf,

    /** Returns the active run of a session. */
    ofSession,

    /** Stops the active run of a session and keeps its text. Returns whether there was one. */
    async stop(sessionId: string): Promise<boolean> {
      const run = await ofSession(sessionId);
      await run?.stop();
      return run !== null;
    },

    /** Sets the project of the last run of a session: tokens of the previous project can no longer read it. */
    setProject: registry.setProject,

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
    markInterrupted: () => markInterrupted(db, log),
  };
}

export type Runs = ReturnType<typeof createRuns>;
