import type { Principal } from '../../authz/principal.ts';
import { notFound } from '../../errors.ts';
import type { InviteCode } from '../../generated/prisma/client.ts';
import { by } from '../audit/audit.service.ts';
import type { AccountDeps } from './account-deps.ts';

/** Returns the disabling of invite codes. */
export const inviteCodeDisabling = ({ db, audit }: AccountDeps) => ({
  /** Disables a code, used or not; repeating it has no effect. Throws NOT_FOUND. */
  disable(principal: Principal, id: number): Promise<InviteCode> {
    return db.prisma.$transaction(async (transaction) => {
      const { count } = await transaction.inviteCode.updateMany({
        where: { id, status: { not: 'DISABLED' } },
        data: { status: 'DISABLED' },
      });
      const inviteCode = await transaction.inviteCode.findUnique({ where: { id } });
      if (!inviteCode) throw notFound('INVITE_CODE_NOT_FOUND');
      if (count > 0)
        await audit.record(transaction, {
          ...by(principal),
          action: 'invite_code.disable',
          target: { type: 'InviteCode', id },
        });
      return inviteCode;
    });
  },
});
