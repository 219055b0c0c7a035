import type { Log } from '../../log.ts';
import type { Background } from '../../store/background.ts';
import type { Database } from '../../store/database.ts';
import type { ChatEvent, IndexedEvent } from './events.ts';
import { interruptedMessage } from './turn-failure.ts';

/** Why a run was aborted that a shutdown cut off. */
const shutdown = Symbol('shutdown');

/** How many answers one user may have under way at once. */
export const maxRunsPerUser = 20;

/** One turn under way, or just over: its events, whoever reads them. It does not belong to any connection. */
export class ActiveRun {
  private readonly events: IndexedEvent[] = [];
  private readonly waiting = new Set<() => void>();
  private readonly controller = new AbortController();
  private readonly startedAt = performance.now();
  private over = false;
  private size = 0;

  constructor(
    readonly id: string,
    readonly sessionId: string,
    readonly userId: string,
    readonly messageId: number,
    /** The project of its session, as long as it is in one. */
    public projectId: number | null = null,
  ) {}

  /** Aborts when somebody stops the run. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  get ended(): boolean {
    return this.over;
  }

  /** How many events there are so far. */
  get length(): number {
    return this.events.length;
  }

  /** How much its events hold, in characters: the texts of deltas, and everything else as JSON. */
  get characters(): number {
    return this.size;
  }

  /** Whether the run was stopped by a shutdown of the server. */
  get isInterrupted(): boolean {
    return this.signal.aborted && this.signal.reason === shutdown;
  }

  /** Stops the run for its reader. */
  stop(): void {
    this.controller.abort();
  }

  /** Stops the run because the server shuts down. */
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

  /** The events from an index on, those to come included, until the run ends or the reader goes. */
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

/** How much is kept of runs that are over. */
export interface KeepLimits {
  /** Since the end of each. */
  milliseconds: number;
  runs: number;
  /** Of the events of all of them. */
  characters: number;
}

const keepLimits: KeepLimits = { milliseconds: 5 * 60_000, runs: 1000, characters: 64 * 2 ** 20 };

/**
 * Which runs that are over are kept for readers who come back: each for five minutes, and at most 1,000 of them with at
 * most 64 Mi characters of events in all. The oldest go first, to `drop`. A reader in the middle of a run that is
 * dropped reads on to its end.
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

/** The runs of this process: those under way, and those just over, as {@link FinishedRuns} keeps them. */
export function createRuns(db: Database, log: Log, background: Background) {
  const runs = new Map<string, ActiveRun>();
  /** The last run of each session. */
  const latest = new Map<string, ActiveRun>();
  const finished = new FinishedRuns((run) => {
    runs.delete(run.id);
    if (latest.get(run.sessionId) === run) latest.delete(run.sessionId);
  });
  let draining = false;

  /** A UUID is the same in capitals. */
  const lastOf = (sessionId: string): ActiveRun | undefined => latest.get(sessionId.toLowerCase());

  return {
    /** Starts the work of a run, which goes on whatever becomes of the connection. `work` never throws. */
    start(run: ActiveRun, work: (run: ActiveRun) => Promise<void>): void {
      runs.set(run.id, run);
      latest.set(run.sessionId, run);
      background.run('chat run', () => work(run).finally(() => finished.add(run)));
    },

    get: (id: string): ActiveRun | undefined => runs.get(id.toLowerCase()),

    /** What a session is saying, or else the last that it said, as long as that is kept. */
    lastOf,

    /** What a session is saying. */
    ofSession(sessionId: string): ActiveRun | undefined {
      const run = lastOf(sessionId);
      return run?.ended ? undefined : run;
    },

    ofUser: (userId: string): ActiveRun[] => [...runs.values()].filter((run) => run.userId === userId && !run.ended),

    get draining(): boolean {
      return draining;
    },

    /** Resolves when no run is under way any more; those that are not done by then are interrupted, their text kept. */
    async drain(patienceMs: number): Promise<void> {
      draining = true;
      const timer = setTimeout(() => {
        for (const run of runs.values()) run.interrupt();
      }, patienceMs);
      await background.settled();
      clearTimeout(timer);
    },

    /** After a crash: what was being said is marked, so that readers know it is not whole. */
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
