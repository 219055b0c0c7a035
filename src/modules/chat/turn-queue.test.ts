import { expect, test } from 'vitest';
import type { Principal } from '../../authz/principal.ts';
import { inMemoryState } from '../../store/shared/shared-state.ts';
import { createTurnQueue, SessionBusyError } from './turn-queue.ts';

const principal = {
  userId: 'user',
  credential: { tokenId: 1, projectOwnerId: null, expiresAt: null },
  authenticatedAt: 0,
} as unknown as Principal;
const never = new AbortController().signal;
const queueOf = (waitMs: number) =>
  createTurnQueue({ runs: { ofSession: async () => null }, shared: inMemoryState(), waitMs });
const busy = async () => {
  throw new SessionBusyError('session');
};

test('a message that waits longer than the limit fails with CONFLICT', async () => {
  const queue = queueOf(20);
  const waiting = [queue.run(principal, 'line', busy, never), queue.run(principal, 'line', busy, never)];
  for (const each of waiting) await expect(each).rejects.toMatchObject({ code: 'CONFLICT' });
  expect(await queue.run(principal, 'line', async () => 'started', never)).toBe('started');
});

test('messages start in their order of arrival even when a waiting message is aborted', async () => {
  const queue = queueOf(60_000);
  const started: string[] = [];
  let isBusy = true;
  const start = (name: string) => async () => {
    if (isBusy) throw new SessionBusyError('session');
    started.push(name);
  };
  const gone = new AbortController();
  const first = queue.run(principal, 'line', start('first'), never);
  const second = queue.run(principal, 'line', start('second'), gone.signal);
  const third = queue.run(principal, 'line', start('third'), never);
  gone.abort();
  await expect(second).rejects.toMatchObject({ code: 'CONFLICT' });
  expect(started).toEqual([]);
  isBusy = false;
  await Promise.all([first, third]);
  expect(started).toEqual(['first', 'third']);
});

test('messages in different queues do not wait for each other', async () => {
  const queue = queueOf(60_000);
  const gone = new AbortController();
  const held = queue.run(principal, 'one', busy, gone.signal);
  expect(await queue.run(principal, 'two', async () => 'started', never)).toBe('started');
  gone.abort();
  await expect(held).rejects.toMatchObject({ code: 'CONFLICT' });
});

test('an error other than a busy session fails immediately', async () => {
  const queue = queueOf(60_000);
  const failing = async () => {
    throw new TypeError('broken');
  };
  await expect(queue.run(principal, 'line', failing, never)).rejects.toThrow('broken');
});
