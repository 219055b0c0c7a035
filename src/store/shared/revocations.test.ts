import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { until } from '../../../test/kit.ts';
import { implementations, type States } from '../../../test/shared-states.ts';
import type { Principal } from '../../authz/principal.ts';
import { inMemoryRevocations } from './revocations.ts';

const principal = (tokenId: number, authenticatedAt: number): Principal => ({
  userId: `user of ${tokenId}`,
  name: '',
  email: '',
  role: 'BASIC',
  accountType: 'SERVICE_ACCOUNT',
  credential: {
    tokenId,
    kind: 'API_KEY',
    name: null,
    scopes: null,
    projectId: null,
    projectOwnerId: null,
    superseded: false,
    secretVersion: 0,
    createdAt: new Date(),
    expiresAt: null,
    lastUsedAt: null,
  },
  permissions: new Set(),
  client: { address: null, userAgent: null },
  authenticatedAt,
});

afterEach(() => void vi.useRealTimers());

test('TOK 5: ending a token or a user aborts the open requests of that token or user, and no others', async () => {
  const revocations = inMemoryRevocations();
  const [mine, other] = [1, 2].map((id) => revocations.watch(principal(id, performance.now())).signal);
  await revocations.endToken(1);
  expect([mine?.aborted, other?.aborted]).toEqual([true, false]);
  await revocations.endUser('user of 2');
  expect(other?.aborted).toBe(true);
});

test('TOK 5: a request authenticated before the revocation is aborted; a request authenticated after it is not', async () => {
  const revocations = inMemoryRevocations();
  const before = principal(1, performance.now());
  await revocations.endToken(1);
  expect(revocations.watch(before).signal.aborted).toBe(true);
  expect(revocations.watch(principal(1, performance.now())).signal.aborted).toBe(false);
});

test('TOK 5: a scheduled revocation aborts, when due, the requests authenticated before it was scheduled', async () => {
  vi.useFakeTimers();
  const revocations = inMemoryRevocations();
  const before = revocations.watch(principal(1, performance.now())).signal;
  vi.advanceTimersByTime(1);
  await revocations.endToken(1, new Date(Date.now() + 60_000));
  const late = revocations.watch(principal(1, performance.now() - 1)).signal;
  vi.advanceTimersByTime(1);
  const after = revocations.watch(principal(1, performance.now())).signal;
  vi.advanceTimersByTime(59_998);
  expect([before.aborted, late.aborted]).toEqual([false, false]);
  vi.advanceTimersByTime(1);
  expect([before.aborted, late.aborted, after.aborted]).toEqual([true, true, false]);
});

test('TOK 5: a principal has ended once its token, user or project owner has ended; other principals have not', async () => {
  vi.useFakeTimers();
  const revocations = inMemoryRevocations();
  const [mine, other] = [principal(1, performance.now()), principal(2, performance.now())];
  const inProject = { ...principal(3, performance.now()) };
  inProject.credential = { ...inProject.credential, projectOwnerId: 'user of 2' };
  const ended = () => [mine, other, inProject].map((each) => revocations.ended(each));
  expect(ended()).toEqual([false, false, false]);
  vi.advanceTimersByTime(1);
  await revocations.endToken(1);
  expect(ended()).toEqual([true, false, false]);
  expect(revocations.ended(principal(1, performance.now()))).toBe(false);
  await revocations.endUser('user of 2');
  expect(ended()).toEqual([true, true, true]);
});

test('TOK 5 TOK 6: a scheduled revocation and a token’s expiry take effect at their time', async () => {
  vi.useFakeTimers();
  const revocations = inMemoryRevocations();
  const set = principal(1, performance.now());
  const own = principal(2, performance.now());
  own.credential = { ...own.credential, expiresAt: new Date(Date.now() + 60_001) };
  vi.advanceTimersByTime(1);
  await revocations.endToken(1, new Date(Date.now() + 60_000));
  const ended = () => [set, own].map((each) => revocations.ended(each));
  vi.advanceTimersByTime(59_999);
  expect(ended()).toEqual([false, false]);
  vi.advanceTimersByTime(1);
  expect(ended()).toEqual([true, true]);
});

describe.each(implementations)('revocations %s', (_name, open) => {
  let states: States;
  beforeAll(async () => {
    states = await open();
  });
  afterAll(() => states.close());

  test('TOK 5: an end takes effect in all processes, for that token or user only', async () => {
    const { one, other } = states;
    const authenticated = performance.now();
    const watched = [11, 12].map((id) => other.revocations.watch(principal(id, authenticated)).signal);
    await one.revocations.endToken(11);
    await until(() => watched[0]?.aborted);
    expect(watched[1]?.aborted).toBe(false);
    expect(other.revocations.ended(principal(11, authenticated))).toBe(true);
    await one.revocations.endUser('user of 12');
    await until(() => watched[1]?.aborted);
  });

  test('TOK 5: a scheduled end takes effect in all processes at its time', async () => {
    const { one, other } = states;
    const authenticated = performance.now();
    const { signal } = other.revocations.watch(principal(21, authenticated));
    await one.revocations.endToken(21, new Date(Date.now() + 50));
    await until(() => signal.aborted);
  });

  test('TOK 5: an end does not affect what is authenticated well after it', async () => {
    const { one, other } = states;
    const before = other.revocations.watch(principal(31, performance.now())).signal;
    await one.revocations.endToken(31);
    await until(() => before.aborted);
    const later = performance.now() + 1_000;
    expect(other.revocations.ended(principal(31, later))).toBe(false);
    expect(other.revocations.watch(principal(31, later)).signal.aborted).toBe(false);
  });
});
