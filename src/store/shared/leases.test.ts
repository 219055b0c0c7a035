import { expect, test } from 'vitest';
import { inMemoryLeases } from './leases.ts';

test('a key has as many places as the limit, and a released place can be occupied again', async () => {
  const leases = inMemoryLeases();
  const [one, two, three] = await Promise.all([1, 2, 3].map(() => leases.tryTake('a', 2)));
  expect([one, two, three].map((lease) => lease !== null)).toEqual([true, true, false]);
  expect(await leases.tryTake('b', 1)).not.toBeNull();
  await one?.release();
  await one?.release();
  expect(await leases.count('a')).toBe(1);
  await leases.take('a');
  expect(await leases.tryTake('a', 2)).toBeNull();
  await leases.take('a');
  expect(await leases.count('a')).toBe(3);
});
