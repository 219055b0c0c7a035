import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../../../test/kit.ts';
import { implementations, joinRedis, type States } from '../../../test/shared-states.ts';

describe.each(implementations)('changes %s', (_name, open) => {
  let states: States;
  beforeAll(async () => {
    states = await open();
  });
  afterAll(() => states.close());

  test('an announcement does not fail, and a topic can be followed', async () => {
    states.one.changes.follow('a topic', async () => {});
    await expect(states.one.changes.announce('a topic')).resolves.toBeUndefined();
  });
});

describe.runIf(process.env.REDIS_URL)('changes of several instances (skipped without REDIS_URL)', () => {
  test('another instance reloads the announced topic only, again after a failure', async () => {
    const deployment = `test-${randomUUID()}`;
    const [one, other] = await Promise.all([joinRedis(deployment), joinRedis(deployment)]);
    const loads = { limits: 0, others: 0 };
    other.changes.follow('limits', async () => {
      loads.limits++;
      if (loads.limits === 1) throw new Error('the database is gone');
    });
    other.changes.follow('others', async () => void loads.others++);
    await one.changes.announce('limits');
    await until(() => loads.limits === 2);
    await one.changes.announce('limits');
    await until(() => loads.limits === 3);
    expect(loads.others).toBe(0);
    await Promise.all([one.close(), other.close()]);
  });
});
