import { afterEach, expect, test, vi } from 'vitest';
import type { Principal } from '../authz/principal.ts';
import { createRevocations } from './revocations.ts';

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

test('TOK 5: what a credential has open ends with it, and nothing else does', () => {
  const revocations = createRevocations();
  const [mine, other] = [1, 2].map((id) => revocations.watch(principal(id, performance.now())).signal);
  revocations.endToken(1);
  expect([mine?.aborted, other?.aborted]).toEqual([true, false]);
  revocations.endUser('user of 2');
  expect(other?.aborted).toBe(true);
});

test('TOK 5: a request that was let in just before the end is ended too; one with the next secret is not', () => {
  const revocations = createRevocations();
  const before = principal(1, performance.now());
  revocations.endToken(1);
  expect(revocations.watch(before).signal.aborted).toBe(true);
  expect(revocations.watch(principal(1, performance.now())).signal.aborted).toBe(false);
});

test('TOK 5: an end that is set for later comes then, for what was open when it was set', () => {
  vi.useFakeTimers();
  const revocations = createRevocations();
  const before = revocations.watch(principal(1, performance.now())).signal;
  vi.advanceTimersByTime(1);
  revocations.endToken(1, new Date(Date.now() + 60_000));
  const late = revocations.watch(principal(1, performance.now() - 1)).signal;
  vi.advanceTimersByTime(1);
  const after = revocations.watch(principal(1, performance.now())).signal;
  vi.advanceTimersByTime(59_998);
  expect([before.aborted, late.aborted]).toEqual([false, false]);
  vi.advanceTimersByTime(1);
  expect([before.aborted, late.aborted, after.aborted]).toEqual([true, true, false]);
});

test('TOK 5: who was let in before an end is known to have ended by then, whatever was ended, and nobody else', () => {
  vi.useFakeTimers();
  const revocations = createRevocations();
  const [mine, other] = [principal(1, performance.now()), principal(2, performance.now())];
  const inProject = { ...principal(3, performance.now()) };
  inProject.credential = { ...inProject.credential, projectOwnerId: 'user of 2' };
  const ended = () => [mine, other, inProject].map((each) => revocations.ended(each));
  expect(ended()).toEqual([false, false, false]);
  vi.advanceTimersByTime(1);
  revocations.endToken(1);
  expect(ended()).toEqual([true, false, false]);
  expect(revocations.ended(principal(1, performance.now()))).toBe(false);
  revocations.endUser('user of 2');
  expect(ended()).toEqual([true, true, true]);
});

test('TOK 5 TOK 6: an end to come, and the credential’s own, count from their moment on', () => {
  vi.useFakeTimers();
  const revocations = createRevocations();
  const set = principal(1, performance.now());
  const own = principal(2, performance.now());
  own.credential = { ...own.credential, expiresAt: new Date(Date.now() + 60_001) };
  vi.advanceTimersByTime(1);
  revocations.endToken(1, new Date(Date.now() + 60_000));
  const ended = () => [set, own].map((each) => revocations.ended(each));
  vi.advanceTimersByTime(59_999);
  expect(ended()).toEqual([false, false]);
  vi.advanceTimersByTime(1);
  expect(ended()).toEqual([true, true]);
});
