import { setTimeout as delay } from 'node:timers/promises';
import { deferred } from '../../../promises.ts';
import type { OwnRun } from '../runs.ts';
import { encodeEvent } from './event-json.ts';
import type { Instance } from './instance.ts';
import { appendEvents } from './run-scripts.ts';

/** The properties of a run in Redis. */
export interface PublishedRun {
  id: string;
  /** The instance that executes it. */
  owner: string;
  sessionId: string;
  userId: string;
  messageId: number;
  projectId: number | null;
  ended: boolean;
  /** The size of its events in characters. */
  characters: number;
}

/** Minimum time between two commands of one run, in milliseconds: a model writes its text in many small events. */
const pauseMs = 25;
/** Maximum number of events in one command. */
const batchSize = 500;

/**
 * Publishes the events of a run of this instance, in order and without gaps. While Redis is unavailable it waits; the
 * events stay in the run and are not copied.
 */
export class RunPublisher<Event> {
  private readonly done = deferred();
  private wake = deferred();
  private readonly stopped = new AbortController();

  constructor(
    private readonly instance: Instance,
    readonly run: OwnRun<Event>,
  ) {}

  get characters(): number {
    return this.run.characters;
  }

  /** Resolves when Redis has all events of the ended run, or when the publisher was stopped. */
  get published(): Promise<void> {
    return this.done.promise;
  }

  /** Publishes the run without events, and then its events in the background. Does not fail. */
  async start(): Promise<void> {
    await this.append(0, []);
    // An event that cannot be JSON ends the publication, and not the run.
    this.publish().catch(() => this.done.resolve());
  }

  /** Called while Redis is available. With `lostData`, everything is published again. */
  available(lostData: boolean): void {
    if (lostData) void this.append(0, this.slice(0));
    this.wake.resolve();
  }

  /** Gives up what Redis does not have yet. */
  stop(): void {
    this.stopped.abort();
    this.wake.resolve();
  }

  private async publish(): Promise<void> {
    for (let sent = 0; !this.stopped.signal.aborted; ) {
      if (sent === this.run.length && !this.run.ended) await this.nextEvent(sent);
      const isLast = this.run.ended && this.run.length - sent <= batchSize;
      const known = await this.append(sent, this.slice(sent), isLast);
      if (known === null) await this.untilAvailable();
      else if (isLast && known >= this.run.length) break;
      else {
        sent = Math.min(known, this.run.length);
        await delay(pauseMs, undefined, { ref: false });
      }
    }
    this.done.resolve();
  }

  /** Resolves when the run has an event with this index, or ended. */
  private async nextEvent(index: number): Promise<void> {
    for await (const _event of this.run.read(index, this.stopped.signal)) return;
  }

  private async untilAvailable(): Promise<void> {
    await this.wake.promise;
    this.wake = deferred();
  }

  private slice(from: number): string[] {
    return this.run.events.slice(from, from + batchSize).map(encodeEvent);
  }

  /** Returns the number of events that Redis has; null when it is unavailable. */
  private async append(from: number, events: readonly string[], ended = false): Promise<number | null> {
    const { id, sessionId, userId, messageId, projectId, characters } = this.run;
    const owner = this.instance.id;
    const published = { id, owner, sessionId, userId, messageId, projectId, characters, ended };
    return appendEvents(this.instance, published, from, events).catch(() => null);
  }
}
