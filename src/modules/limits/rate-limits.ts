import type { Role } from '../../authz/permissions.ts';
import type { Principal } from '../../authz/principal.ts';
import { notFound } from '../../errors.ts';
import type { Prisma, RateLimit } from '../../generated/prisma/client.ts';
import { by } from '../audit/audit.service.ts';

/** Returns the limit, locked against other changes. `role` requires a limit of that role. Throws NOT_FOUND. */
export async function lockLimit(
  transaction: Prisma.TransactionClient,
  id: number,
  role: Role | null,
): Promise<RateLimit> {
  await transaction.$queryRaw`SELECT 1 FROM "RateLimit" WHERE "id" = ${id} FOR UPDATE`;
  const limit = await transaction.rateLimit.findUnique({ where: { id } });
  if (!limit || (role !== null && (limit.scope !== 'ROLE' || limit.role !== role)))
    throw notFound('RATE_LIMIT_NOT_FOUND');
  return limit;
}

/** Returns the audit entry of a change: the limit after it, or before its deletion. */
export const limitEntry = (principal: Principal, change: 'create' | 'update' | 'delete', limit: RateLimit) => ({
  ...by(principal),
  action: `rate_limit.${change}` as const,
  target: { type: 'RateLimit', id: limit.id } as const,
  detail: detailOf(limit),
});

const detailOf = ({
  scope,
  role,
  userId,
  tokenId,
  enabled,
  requestsPerMinute,
  tokenBudget,
  periodHours,
}: RateLimit) => ({
  scope,
  role,
  userId,
  tokenId,
  enabled,
  requestsPerMinute,
  tokenBudget: tokenBudget === null ? null : Number(tokenBudget),
  periodHours,
});
