import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { implementations, type States } from '../../../test/shared-states.ts';
import { deferred } from '../../promises.ts';
import { holding, type Locks } from './locks.ts';

describe.each(implementations)('locks %s', (_name, open) => {
  let states: States;
  let locks: Locks;
  let others: Locks;
  let last = 0;
  /** A key that no other test uses. */
  const freshKey = () => `lock ${++last}`;
  beforeAll(async () => {
    states = await open();
    locks = states.one.locks;
    others = states.other.locks;
  });
  afterAll(() => states.close());

  test('a held lock cannot be taken without waiting, until its release', async () => {
    const key = freshKey();
    const lock = await locks.tryTake(key);
    expect(await locks.tryTake(key)).toBeNull();
    expect(await locks.tryTake(freshKey())).not.toBeNull();
    await lock?.release();
    expect(await locks.tryTake(key)).not.toBeNull();
  });

  test('a lock is handed over in the order of the calls, also when the preparation for the wait takes longer', async () => {
    const key = freshKey();
    const first = await locks.take(key);
    const order: number[] = [];
    const prepared: (() => void)[] = [];
    const second = locks.take(key, { beforeWait: () => new Promise((resolve) => prepared.push(resolve)) });
    const third = locks.take(key);
    const record = (number: number) => async (lock: Awaited<typeof second>) => {
      order.push(number);
      await lock?.release();
    };
    const all = [second.then(record(2)), third.then(record(3))];
    await first?.release();
    for (const resolve of prepared) resolve();
    await Promise.all(all);
    expect(order).toEqual([2, 3]);
    expect(await locks.tryTake(key)).not.toBeNull();
  });

  test('a wait ends with its signal, and the next call gets the lock', async () => {
    const key = freshKey();
    const first = await locks.take(key);
    const controller = new AbortController();
    const aborted = locks.take(key, { signal: controller.signal });
    const next = locks.take(key);
    controller.abort();
    expect(await aborted).toBeNull();
    expect(await locks.take(key, { signal: AbortSignal.abort() })).toBeNull();
    await first?.release();
    expect(await next).not.toBeNull();
  });

  test('a call whose preparation fails rejects with its error and does not keep the lock', async () => {
    const key = freshKey();
    const first = await locks.take(key);
    const beforeWait = async () => {
      await first?.release();
      throw new Error('too many');
    };
    await expect(locks.take(key, { beforeWait })).rejects.toThrow('too many');
    expect(await locks.tryTake(key)).not.toBeNull();
  });

  test('a second release does not end the lock of the next holder', async () => {
    const key = freshKey();
    const first = await locks.take(key);
    const next = locks.take(key);
    await first?.release();
    await next;
    await first?.release();
    expect(await locks.tryTake(key)).toBeNull();
  });

  test('work runs one at a time, also after work that failed', async () => {
    const key = freshKey();
    let active = 0;
    const work = async (fails: boolean) => {
      expect(++active).toBe(1);
      await Promise.resolve();
      active--;
      if (fails) throw new Error('failed');
    };
    const results = await Promise.allSettled(
      [true, false, true].map((fails) => holding(locks, key, () => work(fails))),
    );
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected']);
  });

  test('a lock excludes and is handed over to another process, in the order of the calls', async () => {
    const key = freshKey();
    const first = await locks.take(key);
    expect(await others.tryTake(key)).toBeNull();
    const order: string[] = [];
    const joined = deferred();
    const second = others.take(key, { beforeWait: async () => joined.resolve() }).then((lock) => {
      order.push('other');
      return lock;
    });
    await joined.promise;
    const third = locks.take(key).then((lock) => {
      order.push('one');
      return lock;
    });
    await first?.release();
    await (await second)?.release();
    await (await third)?.release();
    expect(order).toEqual(['other', 'one']);
    expect(first?.isShared).toBe(true);
  });
});
