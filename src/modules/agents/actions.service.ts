import { cut, ListOrder, type PageArgs } from '../../paging.ts';
import type { Database } from '../../store/database.ts';

export const actionOrder = new ListOrder('actions', [{ field: 'id', type: 'int', direction: 'asc' }]);

export function createActionsService(db: Database) {
  return {
    async list(args: PageArgs, limit: number, query: object) {
      const page = actionOrder.page(args, limit);
      return cut(await db.prisma.action.findMany({ ...query, ...page }), page);
    },
    count: () => db.prisma.action.count(),
  };
}
