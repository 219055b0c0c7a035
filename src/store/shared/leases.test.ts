import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { implementations, type States } from '../../../test/shared-states.ts';

describe.each(implementations)('leases %s', (_name, open) => {
  let states: States;
  beforeAll(async () => {
    states = await open();
  });
  afterAll(() => states.close());

  test('a key has as many places as the limit, and a released place can be occupied again', async () => {
    const { leases } = states.one;
    const [one, two, three] = await Promise.all([1, 2, 3].map(() => leases.tryTake('a', 2)));
    expect([one, two, three].filter((lease) => lease !== null)).toHaveLength(2);
    expect(await leases.tryTake('b', 1)).not.toBeNull();
    const taken = one ?? two;
    await taken?.release();
    await taken?.release();
    expect(await leases.count('a')).toBe(1);
    await leases.take('a');
    expect(await leases.tryTake('a', 2)).toBeNull();
    await leases.take('a');
    expect(await leases.count('a')).toBe(3);
  });

  test('the places of all processes count together', async () => {
    const { one, other } = states;
    const lease = await one.leases.tryTake('shared', 2);
    expect(await other.leases.tryTake('shared', 2)).not.toBeNull();
    expect(await one.leases.tryTake('shared', 2)).toBeNull();
    expect(await other.leases.tryTake('shared', 2)).toBeNull();
    await lease?.release();
    expect(await other.leases.count('shared')).toBe(1);
    expect(await other.leases.tryTake('shared', 2)).not.toBeNull();
  });
});
