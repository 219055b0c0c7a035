import { unavailable } from '../../../errors.ts';
import { FinishedRuns, inMemoryRuns, keepLimits, type OwnRun, type RunRegistry, type SharedRun } from '../runs.ts';
import { encodeEvent } from './event-json.ts';
import type { Instance } from './instance.ts';
import { type FoundRun, RemoteRun } from './remote-run.ts';
import { type PublishedRun, RunPublisher } from './run-publisher.ts';
import { appendEvents, findAbandoned, findRun, renewRun, setRunProject } from './run-scripts.ts';

const isUnavailable = () =>
  unavailable('SHARED_STATE_UNAVAILABLE', 'The answers of the other instances cannot be read right now. Try again.');

/** Interval at which the keys of active runs are renewed, in milliseconds. */
const renewEveryMs = 60_000;

/**
 * The runs of all instances. The events of a run are kept by the instance that executes it, which serves its readers from
 * its memory, and published to Redis for the readers of other instances.
 */
export class RedisRuns<Event> implements RunRegistry<Event> {
  private readonly own = inMemoryRuns<Event>();
  private readonly publishers = new Map<string, RunPublisher<Event>>();
  /** Projects whose change could not be published, by session. */
  private readonly unpublished = new Map<string, number | null>();
  /** The publishers of ended runs that Redis does not have completely, within the limits of all finished runs. */
  private readonly finishing = new FinishedRuns<RunPublisher<Event>>((publisher) => {
    publisher.stop();
    this.publishers.delete(publisher.run.id);
  });
  private renewedAt = performance.now();

  constructor(private readonly instance: Instance) {
    instance.onSync(({ messages, lostData }) => {
      for (const message of messages)
        if (message.type === 'stop') void this.publishers.get(message.runId)?.run.stop();
        else if (message.type === 'project') void this.own.setProject(message.sessionId, message.projectId);
      for (const [sessionId, projectId] of this.unpublished) void this.publishProject(sessionId, projectId);
      for (const publisher of this.publishers.values()) publisher.available(lostData);
      if (performance.now() - this.renewedAt > renewEveryMs) this.renew();
    });
  }

  async add(run: OwnRun<Event>): Promise<void> {
    await this.own.add(run);
    if (run.messageId === 0) return;
    const publisher = new RunPublisher(this.instance, run);
    this.publishers.set(run.id, publisher);
    await publisher.start();
  }

  async keep(run: OwnRun<Event>): Promise<void> {
    await this.own.keep(run);
    // Readers of other instances get the rest when Redis is available, which the end of the run does not wait for.
    const publisher = this.publishers.get(run.id);
    if (!publisher) return;
    this.finishing.add(publisher);
    void publisher.published.then(() => this.publishers.delete(run.id));
  }

  async find(id: string): Promise<SharedRun<Event> | null> {
    return (await this.own.find(id)) ?? this.remote(await this.look('run', id.toLowerCase()));
  }

  async lastOf(sessionId: string): Promise<SharedRun<Event> | null> {
    const own = await this.own.lastOf(sessionId);
    if (own && !own.ended) return own;
    const found = await this.look('session', sessionId.toLowerCase());
    return found === null || found.id === own?.id ? own : ((await this.own.find(found.id)) ?? this.remote(found));
  }

  async setProject(sessionId: string, projectId: number | null): Promise<void> {
    await this.own.setProject(sessionId, projectId);
    await this.publishProject(sessionId.toLowerCase(), projectId);
  }

  async abandoned(ids: readonly string[]): Promise<string[]> {
    const others = ids.filter((id) => !this.publishers.has(id));
    const reply = await findAbandoned(this.instance, others).catch(() => {
      throw isUnavailable();
    });
    return reply.filter((id) => !this.publishers.has(id));
  }

  async endAbandoned(id: string, last: (index: number) => Event): Promise<void> {
    try {
      const run = await findRun(this.instance, 'run', id);
      if (!run || run.ended) return;
      const end: PublishedRun = { ...run, owner: this.instance.id, ended: true, characters: 0 };
      await appendEvents(this.instance, end, run.length, [encodeEvent(last(run.length))]);
    } catch {
      throw isUnavailable();
    }
  }

  private remote(found: FoundRun | null): SharedRun<Event> | null {
    return found && new RemoteRun<Event>(this.instance, found);
  }

  private async look(by: 'run' | 'session', id: string): Promise<FoundRun | null> {
    try {
      return await findRun(this.instance, by, id);
    } catch {
      throw isUnavailable();
    }
  }

  private async publishProject(sessionId: string, projectId: number | null): Promise<void> {
    try {
      const owner = await setRunProject(this.instance, sessionId, projectId);
      if (owner && owner !== this.instance.id)
        await this.instance.post(owner, { type: 'project', sessionId, projectId });
      this.unpublished.delete(sessionId);
    } catch {
      this.unpublished.set(sessionId, projectId);
    }
  }

  private renew(): void {
    this.renewedAt = performance.now();
    for (const id of this.publishers.keys()) renewRun(this.instance, id, keepLimits.milliseconds).catch(() => {});
  }
}
