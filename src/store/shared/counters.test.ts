import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { implementations, type States } from '../../../test/shared-states.ts';
import { secondsUntilAllowed } from './counters.ts';

describe.each(implementations)('counters %s', (_name, open) => {
  let states: States;
  beforeAll(async () => {
    states = await open();
  });
  afterAll(() => states.close());

  const outcome = (use: Promise<unknown>) =>
    use.then(
      () => 'allowed',
      (error: unknown) => secondsUntilAllowed(error),
    );

  test('rejects above the points with the seconds until the window ends', async () => {
    const counter = states.one.counters.create('some', { points: 2, seconds: 60, onFailure: 'reject' });
    expect(await outcome(counter.consume('a'))).toBe('allowed');
    expect(await outcome(counter.consume('a'))).toBe('allowed');
    const seconds = Number(await outcome(counter.consume('a')));
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThanOrEqual(60);
    expect(await outcome(counter.consume('b'))).toBe('allowed');
  });

  test('takes back a use, forgets the uses of a key, and applies a changed limit', async () => {
    const counter = states.one.counters.create('changed', { points: 1, seconds: 60, onFailure: 'count-here' });
    await counter.consume('a');
    await counter.reward('a');
    expect(await outcome(counter.consume('a'))).toBe('allowed');
    await counter.delete('a');
    expect(await outcome(counter.consume('a'))).toBe('allowed');
    counter.points = 2;
    expect(await outcome(counter.consume('a'))).toBe('allowed');
    expect(await outcome(counter.consume('a'))).not.toBe('allowed');
  });

  test('counters with the same name count together, and those with other names do not', async () => {
    const window = { points: 1, seconds: 60, onFailure: 'reject' } as const;
    const mine = states.one.counters.create('common', window);
    await mine.consume('a');
    const [theirs, different] = ['common', 'different'].map((name) => states.other.counters.create(name, window));
    // In memory, a counter is created once for the process.
    if (states.one !== states.other)
      expect(await outcome(theirs?.consume('a') as Promise<unknown>)).not.toBe('allowed');
    expect(await outcome(different?.consume('a') as Promise<unknown>)).toBe('allowed');
  });
});
