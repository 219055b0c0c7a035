import { parse } from '../../errors.ts';
import type { Prisma } from '../../generated/prisma/client.ts';
import { cut, ListOrder, type PageArgs } from '../../paging.ts';
import type { LimitDeps } from './limit-deps.ts';
import { RateLimitFilter } from './limit-input.ts';

export const rateLimitOrder = new ListOrder('rateLimits', [{ field: 'id', type: 'int', direction: 'asc' }]);

/** Throws BAD_USER_INPUT. */
const matching = (filter: RateLimitFilter): Prisma.RateLimitWhereInput =>
  Object.fromEntries(Object.entries(parse(RateLimitFilter, filter, ['filter'])).filter(([, value]) => value != null));

export const limitLists = ({ db }: Pick<LimitDeps, 'db'>) => ({
  /** Returns a page of the limits that match the filter, oldest first. Throws BAD_USER_INPUT. */
  async list(filter: RateLimitFilter, args: PageArgs, limit: number, query: object) {
    const page = rateLimitOrder.page(args, limit);
    const rows = await db.prisma.rateLimit.findMany({
      ...query,
      ...page,
      where: { AND: [matching(filter), page.where] },
    });
    return cut(rows, page);
  },

  count: (filter: RateLimitFilter) => db.prisma.rateLimit.count({ where: matching(filter) }),
});
