import type { Log } from '../../log.ts';
import type { Background } from '../../store/background.ts';
import type { Database } from '../../store/database.ts';
import type { ChatEvent, IndexedEvent } from './events.ts';

/** How long a finished run can still be read again. Milliseconds. */
const keepMs = 5 * 60_000;

/** One turn under way, or just over: its events, whoever reads them. It does not belong to any connection. */
export class ActiveRun {
  private readonly events: IndexedEvent[] = [];
  private readonly waiting = new Set<() => void>();
  private readonly controller = new AbortController();
  private over = false;

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

  stop(): void {
    this.controller.abort();
  }

  emit(event: ChatEvent): void {
    if (this.over) throw new Error(`run ${this.id} is over and cannot emit ${event.type}`);
    this.over = event.type === 'stopped' || event.type === 'failed';
    this.events.push({ index: this.events.length, ...event });
    for (const wake of this.waiting) wake();
    this.waiting.clear();
  }

  /** The events from an index on, those to come included, until the run ends or the reader goes. */
  async *read(from: number, signal?: AbortSignal): AsyncGenerator<IndexedEvent, void, undefined> {
    for (let index = from; ; index++) {
      while (index >= this.events.length && !this.over && !signal?.aborted) await this.next(signal);
      const event = this.events[index];
      if (!event || signal?.aborted) return;
      yield event;
    }
  }

  private next(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        signal?.removeEventListener('abort', wake);
        this.waiting.delete(wake);
        resolve();
      };
      this.waiting.add(wake);
      signal?.addEventListener('abort', wake, { once: true });
    });
  }
}

/** The runs of this process. */
export function createRuns(db: Database, log: Log, background: Background) {
  const runs = new Map<string, ActiveRun>();
  let draining = false;

  return {
    /** Starts the work of a run, which goes on whatever becomes of the connection. `work` never throws. */
    start(run: ActiveRun, work: (run: ActiveRun) => Promise<void>): void {
      runs.set(run.id, run);
      background.run('chat run', () =>
        work(run).finally(() => {
          setTimeout(() => runs.delete(run.id), keepMs).unref();
        }),
      );
    },

    get: (id: string): ActiveRun | undefined => runs.get(id),

    ofSession: (sessionId: string): ActiveRun | undefined =>
      [...runs.values()].find((run) => run.sessionId === sessionId && !run.ended),

    ofUser: (userId: string): ActiveRun[] => [...runs.values()].filter((run) => run.userId === userId && !run.ended),

    get draining(): boolean {
      return draining;
    },

    /** Resolves when no run is under way any more; those that are not done by then are stopped, their text kept. */
    async drain(patienceMs: number): Promise<void> {
      draining = true;
      const timer = setTimeout(() => {
        for (const run of runs.values()) run.stop();
      }, patienceMs);
      await background.settled();
      clearTimeout(timer);
    },

    /** After a crash: what was being said is marked, so that readers know it is not whole. */
    async markInterrupted(): Promise<void> {
      const error = 'The server stopped while this was being written.';
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
