import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../../../test/kit.ts';
import { implementations, joinRedis, type States } from '../../../test/shared-states.ts';

describe.each(implementations)('claims of jobs %s', (_name, open) => {
  let states: States;
  beforeAll(async () => {
    states = await open();
  });
  afterAll(() => states.close());

  test('a job that is due can be claimed, also after its interval', async () => {
    const { jobs } = states.one;
    expect(await jobs.claim('often', 20)).toBe(true);
    await jobs.finish('often');
    await until(() => jobs.claim('often', 20));
  });
});

describe.runIf(process.env.REDIS_URL)('claims of jobs of several instances (skipped without REDIS_URL)', () => {
  test('a job runs in one instance per interval', async () => {
    const deployment = `test-${randomUUID()}`;
    const states = await Promise.all([joinRedis(deployment), joinRedis(deployment)]);
    const claims = await Promise.all(states.map(({ jobs }) => jobs.claim('daily', 86_400_000)));
    expect(claims.toSorted()).toEqual([false, true]);
    await Promise.all(states.map(({ jobs }) => jobs.finish('daily')));
    expect(await Promise.all(states.map(({ jobs }) => jobs.claim('daily', 86_400_000)))).toEqual([false, false]);
    await Promise.all(states.map((state) => state.close()));
  });

  test('a job whose instance was killed is claimed again, and a finished one is not', async () => {
    const deployment = `test-${randomUUID()}`;
    const [killed, living] = await Promise.all([joinRedis(deployment), joinRedis(deployment)]);
    expect(await killed.jobs.claim('interrupted', 86_400_000)).toBe(true);
    expect(await killed.jobs.claim('finished', 86_400_000)).toBe(true);
    await killed.jobs.finish('finished');
    killed.die();
    await until(() => living.jobs.claim('interrupted', 86_400_000));
    expect(await living.jobs.claim('finished', 86_400_000)).toBe(false);
    await living.close();
  });
});
