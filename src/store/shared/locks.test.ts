import { expect, test } from 'vitest';
import { holding, inMemoryLocks } from './locks.ts';

test('a held lock cannot be taken without waiting, until its release', async () => {
  const locks = inMemoryLocks();
  const lock = await locks.tryTake('a');
  expect(await locks.tryTake('a')).toBeNull();
  expect(await locks.tryTake('b')).not.toBeNull();
  await lock?.release();
  expect(await locks.tryTake('a')).not.toBeNull();
});

test('a lock is handed over in the order of the calls, also when the preparation for the wait takes longer', async () => {
  const locks = inMemoryLocks();
  const first = await locks.take('a');
  const order: number[] = [];
  const prepared: (() => void)[] = [];
  const second = locks.take('a', { beforeWait: () => new Promise((resolve) => prepared.push(resolve)) });
  const third = locks.take('a');
  const record = (number: number) => async (lock: Awaited<typeof second>) => {
    order.push(number);
    await lock?.release();
  };
  const all = [second.then(record(2)), third.then(record(3))];
  await first?.release();
  for (const resolve of prepared) resolve();
  await Promise.all(all);
  expect(order).toEqual([2, 3]);
  expect(await locks.tryTake('a')).not.toBeNull();
});

test('a wait ends with its signal, and the next call gets the lock', async () => {
  const locks = inMemoryLocks();
  const first = await locks.take('a');
  const controller = new AbortController();
  const aborted = locks.take('a', { signal: controller.signal });
  const next = locks.take('a');
  controller.abort();
  expect(await aborted).toBeNull();
  expect(await locks.take('a', { signal: AbortSignal.abort() })).toBeNull();
  await first?.release();
  expect(await next).not.toBeNull();
});

test('a call whose preparation fails rejects with its error and does not keep the lock', async () => {
  const locks = inMemoryLocks();
  const first = await locks.take('a');
  const beforeWait = async () => {
    await first?.release();
    throw new Error('too many');
  };
  await expect(locks.take('a', { beforeWait })).rejects.toThrow('too many');
  expect(await locks.tryTake('a')).not.toBeNull();
});

test('a second release does not end the lock of the next holder', async () => {
  const locks = inMemoryLocks();
  const first = await locks.take('a');
  const next = locks.take('a');
  await first?.release();
  await next;
  await first?.release();
  expect(await locks.tryTake('a')).toBeNull();
});

test('work runs one at a time, also after work that failed', async () => {
  const locks = inMemoryLocks();
  let active = 0;
  const work = async (fails: boolean) => {
    expect(++active).toBe(1);
    await Promise.resolve();
    active--;
    if (fails) throw new Error('failed');
  };
  const results = await Promise.allSettled([true, false, true].map((fails) => holding(locks, 'a', () => work(fails))));
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected']);
});
