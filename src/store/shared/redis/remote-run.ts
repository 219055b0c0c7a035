import { unavailable } from '../../../errors.ts';
import type { SharedRun } from '../runs.ts';
import { decodeEvent } from './event-json.ts';
import type { Instance } from './instance.ts';
import { readEvents } from './run-scripts.ts';

/** A run as it is found in Redis. */
export interface FoundRun {
  id: string;
  /** The instance that executes it. */
  owner: string;
  sessionId: string;
  userId: string;
  messageId: number;
  projectId: number | null;
  ended: boolean;
  length: number;
}

/** The longest time until a reader notices events whose announcement was lost, in milliseconds. */
const pollMs = 1_000;

/** Number of polls after which a run that Redis lost, and that its instance has not published again, has ended. */
const maxMissing = 5;

/** A run that another instance executes or has executed. */
export class RemoteRun<Event> implements SharedRun<Event> {
  readonly id: string;
  readonly sessionId: string;
  readonly userId: string;
  readonly messageId: number;

  constructor(
    private readonly instance: Instance,
    private readonly found: FoundRun,
  ) {
    ({ id: this.id, sessionId: this.sessionId, userId: this.userId, messageId: this.messageId } = found);
  }

  get projectId(): number | null {
    return this.found.projectId;
  }

  get length(): number {
    return this.found.length;
  }

  get ended(): boolean {
    return this.found.ended;
  }

  async *read(from: number, signal?: AbortSignal): AsyncGenerator<Event, void, undefined> {
    let isNew = true;
    let missing = 0;
    let wake = () => {};
    const news = () => {
      isNew = true;
      wake();
    };
    const stopListening = this.instance.redis.listen(this.instance.key('run', this.id), news);
    signal?.addEventListener('abort', news, { once: true });
    try {
      for (let index = from; !signal?.aborted; ) {
        isNew = false;
        const page = await readEvents(this.instance, this.id, index).catch(() => null);
        missing = page && !page.exists ? missing + 1 : 0;
        if (missing > 0 && (this.ended || missing > maxMissing)) return;
        if (page?.exists)
          Object.assign(this.found, { projectId: page.projectId, ended: page.ended, length: page.length });
        for (const text of page?.events ?? []) {
          if (signal?.aborted) return;
          yield decodeEvent<Event>(text);
          index++;
        }
        if (page?.ended && index >= page.length) return;
        if (page?.exists && index < page.length) continue;
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, pollMs);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
          if (isNew || signal?.aborted) wake();
        });
      }
    } finally {
      signal?.removeEventListener('abort', news);
      stopListening();
    }
  }

  async stop(): Promise<void> {
    if (this.ended) return;
    try {
      await this.instance.post(this.found.owner, { type: 'stop', runId: this.id });
    } catch {
      throw unavailable(
        'SHARED_STATE_UNAVAILABLE',
        'The instance that answers cannot be reached right now. Try again.',
      );
    }
  }
}
