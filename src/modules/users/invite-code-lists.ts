import { hashSecret, isWellFormedSecret } from '../../authz/secret.ts';
import type { InviteCode } from '../../generated/prisma/client.ts';
import { cut, ListOrder, type PageArgs } from '../../paging.ts';
import type { AccountDeps } from './account-deps.ts';
import { findOpenCode } from './open-invite-codes.ts';

export const inviteCodeOrder = new ListOrder('inviteCodes', [{ field: 'id', type: 'int', direction: 'asc' }]);

/** Returns the reads of invite codes. */
export const inviteCodeLists = ({ db }: AccountDeps) => ({
  async list(args: PageArgs, limit: number, query: object) {
    const page = inviteCodeOrder.page(args, limit);
    return cut(await db.prisma.inviteCode.findMany({ ...query, ...page }), page);
  },

  count: () => db.prisma.inviteCode.count(),

  /** Returns the status of a code for its holder, or null for an unknown code. */
  async look(code: string): Promise<{ status: InviteCode['status'] } | null> {
    if (!isWellFormedSecret(code, 'INVITE')) return null;
    const hash = Uint8Array.from(hashSecret(code));
    const found = await db.prisma.inviteCode.findUnique({ where: { hash }, select: { id: true, status: true } });
    if (found?.status !== 'PENDING') return found;
    return { status: (await findOpenCode(db, code)) ? 'PENDING' : 'DISABLED' };
  },
});
