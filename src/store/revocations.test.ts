import { expect, test } from 'vitest';
import type { Principal } from '../authz/principal.ts';
import { createRevocations } from './revocations.ts';

const principal = (tokenId: number, authenticatedAt: number): Principal => ({
  userId: `user of ${tokenId}`,
  name: '',
  email: '',
  role: 'BASIC',
  accountType: 'SERVICE_ACCOUNT',
  credential: { tokenId, kind: 'API_KEY', name: null, scopes: null, createdAt: new Date(), expiresAt: null },
  permissions: new Set(),
  client: { address: null, userAgent: null },
  authenticatedAt,
});

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
