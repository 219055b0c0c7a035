import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../../../../test/kit.ts';
import { type RedisProxy, startRedisProxy } from '../../../../test/redis-proxy.ts';
import { joinRedis } from '../../../../test/shared-states.ts';
import type { Principal } from '../../../authz/principal.ts';
import { createLog } from '../../../log.ts';
import type { IndexedEvent } from '../../../modules/chat/events.ts';
import { ActiveRun } from '../../../modules/chat/runs.ts';
import { secondsUntilAllowed } from '../counters.ts';
import type { RedisState } from './open-redis-state.ts';

const { REDIS_URL: redisUrl = '' } = process.env;

const outages: [string, (proxy: RedisProxy) => unknown, (proxy: RedisProxy) => unknown][] = [
  ['refuses connections', (proxy) => proxy.refuse(), (proxy) => proxy.open()],
  ['does not reply', (proxy) => proxy.hang(), (proxy) => proxy.set('forward')],
  ['answers with another protocol', (proxy) => proxy.set('other protocol'), (proxy) => proxy.set('forward')],
];

describe.runIf(redisUrl).each(outages)('Redis that %s (skipped without REDIS_URL)', (_name, start, end) => {
  const deployment = `test-${randomUUID()}`;
  const log: { level: number; msg: string }[] = [];
  const warnings = () => log.map(({ msg }) => msg).filter((msg) => /Redis/.test(msg));
  let proxy: RedisProxy;
  let state: RedisState;
  let other: RedisState;

  beforeAll(async () => {
    proxy = await startRedisProxy(redisUrl);
    state = await joinRedis(deployment, createLog('warn', { write: (line) => log.push(JSON.parse(line)) }), proxy.url);
    other = await joinRedis(deployment);
  });
  afterAll(async () => {
    await Promise.all([state?.close(), other?.close()]);
    await proxy?.close();
  });
  beforeEach(() => void log.splice(0));

  test('does not stop the instance, is logged once with its end, and loses no news', async () => {
    const runs = state.createRuns<IndexedEvent>();
    const readers = other.createRuns<IndexedEvent>();
    const run = new ActiveRun(randomUUID(), randomUUID(), randomUUID(), 1);
    await runs.add(run);
    run.emit({ type: 'answerDelta', text: 'before' });
    const held = await state.locks.take('held');
    const mine = { userId: 'a', credential: { tokenId: 1, projectOwnerId: null, expiresAt: null } };
    const principal = { ...mine, authenticatedAt: performance.now() } as unknown as Principal;
    const theirs = { ...principal, credential: { ...principal.credential, tokenId: 2 } } as Principal;
    const { signal: watchedHere } = state.revocations.watch(principal);
    const { signal: watchedThere } = other.revocations.watch(theirs);
    let reloads = 0;
    state.changes.follow('topic', async () => void reloads++);

    await start(proxy);
    await until(() => warnings().length === 1);

    const window = { points: 1, seconds: 60 };
    const counter = state.counters.create('limit', { ...window, onFailure: 'count-here' });
    await counter.consume('a');
    expect(await counter.consume('a').catch(secondsUntilAllowed)).toBeGreaterThan(0);
    const login = state.counters.create('login', { ...window, onFailure: 'reject' });
    const failure = await login.consume('a').catch((error: unknown) => error);
    expect([failure instanceof Error, secondsUntilAllowed(failure)]).toEqual([true, null]);

    const local = await state.locks.tryTake('free');
    expect(local?.isShared).toBe(false);
    expect(await state.locks.tryTake('free')).toBeNull();
    expect(await state.locks.tryTake('held')).toBeNull();
    const next = state.locks.take('held');
    await held?.release();
    await (await next)?.release();
    await local?.release();
    const lease = await state.leases.tryTake('some', 1);
    expect(await state.leases.tryTake('some', 1)).toBeNull();
    await lease?.release();
    expect(await state.jobs.claim('job', 1_000)).toBe(false);
    await expect(runs.find(randomUUID())).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(await runs.find(run.id)).toBe(run);

    run.emit({ type: 'answerDelta', text: 'during' });
    run.emit({ type: 'stopped', reason: 'FINISHED' });
    await runs.keep(run);
    await state.revocations.endToken(2);
    await other.revocations.endToken(1);
    await other.changes.announce('topic');
    expect(warnings()).toHaveLength(1);

    await end(proxy);
    await until(() => watchedHere.aborted && watchedThere.aborted && reloads > 0);
    const events: IndexedEvent[] = [];
    for await (const event of (await readers.find(run.id))?.read(0) ?? []) events.push(event);
    expect(events).toEqual(run.events);
    await until(async () => (await other.locks.tryTake('held')) !== null);
    expect(warnings().map((msg) => /again/.test(msg))).toEqual([false, true]);
  });
});

test.runIf(redisUrl)('Redis that loses its data gets the runs and leases of the instances again', async () => {
  const deployment = `test-${randomUUID()}`;
  const [one, other] = await Promise.all([joinRedis(deployment), joinRedis(deployment)]);
  const runs = one.createRuns<IndexedEvent>();
  const run = new ActiveRun(randomUUID(), randomUUID(), randomUUID(), 1);
  await runs.add(run);
  run.emit({ type: 'answerDelta', text: 'before' });
  await one.leases.take('answers');
  const registry = other.createRuns<IndexedEvent>();
  const { Redis } = await import('ioredis');
  const client = new Redis(redisUrl);
  const events: IndexedEvent[] = [];
  const remote = await registry.find(run.id);
  const reading = (async () => {
    for await (const event of remote?.read(0) ?? []) events.push(event);
  })();
  await until(() => events.length === 1);
  const keys = await client.keys(`latchkey:{${deployment}}:*`);
  await client.del(...keys);
  expect(await other.instances?.others()).not.toMatchObject({ isAlone: true });
  await until(async () => (await registry.find(run.id))?.length === 1);
  await until(async () => (await other.leases.count('answers')) === 1);
  expect(await registry.abandoned([run.id])).toEqual([]);
  client.disconnect();
  run.emit({ type: 'stopped', reason: 'FINISHED' });
  await runs.keep(run);
  await reading;
  expect(events).toEqual(run.events);
  await Promise.all([one.close(), other.close()]);
});
