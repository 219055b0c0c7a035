import { z } from 'zod';
import { roles } from '../../authz/permissions.ts';
import { visible } from '../../authz/visible.ts';
import { notFound, parse } from '../../errors.ts';
import type { Prisma, User } from '../../generated/prisma/client.ts';
import { cut, ListOrders, type ListRequest, type SortKey } from '../../paging.ts';
import { containing, plainText } from '../../zod-types.ts';
import type { AccountDeps } from './account-deps.ts';

const accountTypes = ['STANDARD', 'SERVICE_ACCOUNT'] as const;
const UserFilter = z.object({
  search: plainText(500).nullish(),
  active: z.boolean().nullish(),
  roles: z.array(z.enum(roles)).max(100).nullish(),
  accountTypes: z.array(z.enum(accountTypes)).max(100).nullish(),
});
export type UserFilter = z.input<typeof UserFilter>;

const byId: SortKey = { field: 'id', type: 'uuid', direction: 'asc' };
const userSortKeys = {
  CREATED_AT: [{ field: 'createdAt', type: 'date', direction: 'asc' }, byId],
  NAME: [{ field: 'name', type: 'text', direction: 'asc' }, byId],
} satisfies Record<string, SortKey[]>;
const oldestFirst = { field: 'CREATED_AT', direction: 'ASC' } as const;
export const userOrders = new ListOrders('users', userSortKeys, oldestFirst);
export const allUserOrders = new ListOrders('allUsers', userSortKeys, oldestFirst);

/** Throws BAD_USER_INPUT. */
function matching(filter: UserFilter): Prisma.UserWhereInput {
  const { search, active, roles, accountTypes } = parse(UserFilter, filter, ['filter']);
  return {
    ...(search && { OR: [{ nameForm: containing(search) }, { email: containing(search) }] }),
    ...(active != null && { active }),
    ...(roles && { role: { in: roles } }),
    accountType: { in: accountTypes ?? ['STANDARD'] },
  };
}

/** Returns the condition for the users of the directory that match a filter. Throws BAD_USER_INPUT. */
const listed = (filter: UserFilter): Prisma.UserWhereInput => ({ AND: [visible.directory(), matching(filter)] });

/**
 * Returns the condition for all users that match a filter, except the users that chat widgets act as. Throws
 * BAD_USER_INPUT.
 */
const existing = (filter: UserFilter): Prisma.UserWhereInput => ({ ...matching(filter), embed: null });

/** Returns the reads of users. */
export const userLists = ({ db }: AccountDeps) => ({
  /** Returns a user by UUID. Throws NOT_FOUND. */
  async find(id: string, query: object = {}): Promise<User> {
    const user = await db.prisma.user.findUnique({ ...query, where: { id } });
    if (!user) throw notFound('USER_NOT_FOUND');
    return user;
  },

  async listUsers(filter: UserFilter, { order, args, limit, query }: ListRequest) {
    const page = order.page(args, limit);
    const rows = await db.prisma.user.findMany({ ...query, ...page, where: { AND: [listed(filter), page.where] } });
    return cut(rows, page);
  },

  countUsers: (filter: UserFilter) => db.prisma.user.count({ where: listed(filter) }),

  async listAllUsers(filter: UserFilter, { order, args, limit, query }: ListRequest) {
    const page = order.page(args, limit);
    const rows = await db.prisma.user.findMany({ ...query, ...page, where: { AND: [existing(filter), page.where] } });
    return cut(rows, page);
  },

  countAllUsers: (filter: UserFilter) => db.prisma.user.count({ where: existing(filter) }),
});
