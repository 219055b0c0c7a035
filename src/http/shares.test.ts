import { expect, it } from 'vitest';
import { createShares } from './shares.ts';

/** Requests an amount, and returns an object that shows whether it has been granted. */
function ask(shares: ReturnType<typeof createShares>, holder: string, amount: number) {
  const request = { given: false, release: () => {} };
  void shares.wait(holder, amount).then((release) => {
    request.given = true;
    request.release = release;
  });
  return request;
}
const settled = () => new Promise((resolve) => setImmediate(resolve));

it('grants available capacity immediately and queues further requests in order', async () => {
  const shares = createShares(10, 15);
  const [first, second, third, fourth] = [
    ask(shares, 'a', 10),
    ask(shares, 'b', 5),
    ask(shares, 'c', 4),
    ask(shares, 'd', 4),
  ];
  await settled();
  expect([first, second, third, fourth].map(({ given }) => given)).toEqual([true, true, false, false]);
  second?.release();
  await settled();
  expect([third?.given, fourth?.given]).toEqual([true, false]);
  first?.release();
  await settled();
  expect(fourth?.given).toBe(true);
});

it('limits a holder to its share and lets other holders pass its queued requests', async () => {
  const shares = createShares(10, 100);
  const [held, more, other] = [ask(shares, 'a', 8), ask(shares, 'a', 3), ask(shares, 'b', 3)];
  await settled();
  expect([held.given, more.given, other.given]).toEqual([true, false, true]);
  // A smaller amount does not overtake an earlier request of the same holder.
  const small = ask(shares, 'a', 1);
  await settled();
  expect(small.given).toBe(false);
  held.release();
  await settled();
  expect([more.given, small.given]).toEqual([true, true]);
});

it('grants an amount above the share only to a holder that holds no other amount', async () => {
  const shares = createShares(10, 15);
  const small = ask(shares, 'a', 1);
  const huge = ask(shares, 'a', 1000);
  await settled();
  expect(huge.given).toBe(false);
  small.release();
  await settled();
  expect(huge.given).toBe(true);
  const later = ask(shares, 'a', 1);
  await settled();
  expect(later.given).toBe(false);
  huge.release();
  huge.release();
  await settled();
  expect(later.given).toBe(true);
});
