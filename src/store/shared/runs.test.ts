import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../../../test/kit.ts';
import { implementations, joinRedis, type States } from '../../../test/shared-states.ts';
import type { IndexedEvent } from '../../modules/chat/events.ts';
import { ActiveRun } from '../../modules/chat/runs.ts';
import type { RunRegistry, SharedRun } from './runs.ts';

const newRun = (messageId = 1) => new ActiveRun(randomUUID(), randomUUID(), randomUUID(), messageId);
const finished = { type: 'stopped', reason: 'FINISHED' } as const;

/** Reads all events of a run from an index. */
async function collect(run: SharedRun<IndexedEvent> | null, from = 0): Promise<IndexedEvent[]> {
  const events: IndexedEvent[] = [];
  for await (const event of run?.read(from) ?? []) events.push(event);
  return events;
}

describe.each(implementations)('runs %s', (_name, open) => {
  let states: States;
  let own: RunRegistry<IndexedEvent>;
  let other: RunRegistry<IndexedEvent>;
  beforeAll(async () => {
    states = await open();
    own = states.one.createRuns<IndexedEvent>();
    other = states.one === states.other ? own : states.other.createRuns<IndexedEvent>();
  });
  afterAll(() => states.close());

  test('a run is found by its ID in any case and by its session, with its properties', async () => {
    const run = newRun();
    run.projectId = 7;
    await own.add(run);
    const { id, sessionId, userId } = run;
    const expected = { id, sessionId, userId, messageId: 1, projectId: 7, ended: false };
    expect(await other.find(id.toUpperCase())).toMatchObject(expected);
    expect(await other.lastOf(sessionId.toUpperCase())).toMatchObject(expected);
    expect(await other.find(randomUUID())).toBeNull();
    expect(await other.lastOf(randomUUID())).toBeNull();
    run.emit(finished);
    await own.keep(run);
  });

  test('readers receive the same events from an index, those of the past and those of the future', async () => {
    const run = newRun();
    await own.add(run);
    run.emit({ type: 'answerDelta', text: 'zero' });
    run.emit({ type: 'answerDelta', text: 'one' });
    const remote = await other.find(run.id);
    const [all, some] = [collect(remote), collect(remote, 1)];
    const usage = { inputTokens: 1, outputTokens: 2, durationMs: 3, model: 'a', provider: null, endedAt: new Date(5) };
    for (let index = 2; index < 1_200; index++) run.emit({ type: 'answerDelta', text: `${index}` });
    run.emit({ ...finished, usage });
    await own.keep(run);
    expect(await all).toEqual(run.events);
    expect(await some).toEqual(run.events.slice(1));
    const later = await until(async () => {
      const found = await other.lastOf(run.sessionId);
      return found?.ended && found;
    });
    expect([later.ended, later.length]).toEqual([true, 1_201]);
    expect(await collect(later, 1_200)).toEqual([run.events.at(-1)]);
  });

  test('a reader ends with its signal, without the end of the run', async () => {
    const run = newRun();
    await own.add(run);
    const controller = new AbortController();
    const events = (await other.find(run.id))?.read(0, controller.signal);
    const next = events?.next();
    controller.abort();
    expect(await next).toEqual({ done: true, value: undefined });
    run.emit(finished);
    await own.keep(run);
  });

  test('any process stops a run, and the process that executes it keeps what it has', async () => {
    const run = newRun();
    await own.add(run);
    await (await other.lastOf(run.sessionId))?.stop();
    await until(() => run.signal.aborted);
    expect(run.isInterrupted).toBe(false);
    run.emit({ type: 'stopped', reason: 'USER_CANCELLED' });
    await own.keep(run);
  });

  test('a changed project is known to the process that executes the run and to readers', async () => {
    const run = newRun();
    await own.add(run);
    const remote = await other.find(run.id);
    await other.setProject(run.sessionId, 5);
    await until(() => run.projectId === 5);
    expect((await other.find(run.id))?.projectId).toBe(5);
    const events = collect(remote);
    run.emit(finished);
    await own.keep(run);
    await events;
    expect(remote?.projectId).toBe(5);
  });

  test('a run without an owner is abandoned, and one that any process executes is not', async () => {
    const run = newRun();
    await own.add(run);
    const unknown = randomUUID();
    expect(await own.abandoned([run.id, unknown])).toEqual([unknown]);
    expect(await other.abandoned([run.id, unknown])).toEqual([unknown]);
    run.emit(finished);
    await own.keep(run);
  });
});

describe.runIf(process.env.REDIS_URL)('runs of a killed instance (skipped without REDIS_URL)', () => {
  test('are abandoned, and end for their readers with the given event', async () => {
    const deployment = `test-${randomUUID()}`;
    const [killed, living] = await Promise.all([joinRedis(deployment), joinRedis(deployment)]);
    const [theirs, registry] = [killed.createRuns<IndexedEvent>(), living.createRuns<IndexedEvent>()];
    const run = newRun();
    await theirs.add(run);
    run.emit({ type: 'answerDelta', text: 'half' });
    const remote = await until(async () => {
      const found = await registry.find(run.id);
      return found?.length === 1 && found;
    });
    const events = collect(remote);
    killed.die();
    await until(async () => (await registry.abandoned([run.id])).length === 1);
    await registry.endAbandoned(run.id, (index) => ({ index, afterMs: 0, ...finished }));
    expect(await events).toEqual([run.events[0], { index: 1, afterMs: 0, ...finished }]);
    expect((await living.instances?.others())?.dead).toHaveLength(1);
    await living.close();
  });
});
