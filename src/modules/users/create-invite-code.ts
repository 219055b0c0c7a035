import { z } from 'zod';
import { can, type Principal } from '../../authz/principal.ts';
import { newSecret, secretColumns } from '../../authz/secret.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, forbidden, parse } from '../../errors.ts';
import type { InviteCode } from '../../generated/prisma/client.ts';
import { databaseId } from '../../zod-types.ts';
import { by } from '../audit/audit.service.ts';
import { holdMaker } from '../tokens/origins.ts';
import type { AccountDeps } from './account-deps.ts';
import { withinRole } from './account-rules.ts';
import { invitedRole } from './open-invite-codes.ts';

/** Maximum number of agents that one code can share. */
const maxAgents = 1000;
const CreateInviteCode = z.object({ agentIds: z.array(databaseId).max(maxAgents).nullish() });
export type CreateInviteCodeInput = z.input<typeof CreateInviteCode>;

/** Returns the creation of invite codes. */
export const inviteCodeCreation = ({ db, audit }: AccountDeps) => ({
  /**
   * Creates a code, returned once, for one account with the role BASIC. Its agents, at most 1000, are shared with the
   * new account. Throws BAD_USER_INPUT for an agent that the principal cannot share, FORBIDDEN for a principal with
   * fewer permissions than the account.
   */
  async create(principal: Principal, input: CreateInviteCodeInput): Promise<{ code: string; inviteCode: InviteCode }> {
    const agentIds = [...new Set(parse(CreateInviteCode, input).agentIds ?? [])];
    withinRole(principal, invitedRole);
    if (agentIds.length > 0 && !can(principal, 'write:agents')) throw forbidden(['write:agents']);
    const code = newSecret('INVITE');
    return db.prisma.$transaction(async (transaction) => {
      const rules = [visible.usableAgents(principal), visible.ownedAgents(principal), { isBuiltin: false }];
      const known = await transaction.agent.count({ where: { AND: [...rules, { id: { in: agentIds } }] } });
      if (known < agentIds.length) throw badInput(['input', 'agentIds'], 'Some agents were not found');
      const inviteCode = await transaction.inviteCode.create({
        data: {
          ...secretColumns(code),
          agentIds,
          createdById: principal.userId,
          creatorTokenIds: await holdMaker(transaction, principal),
        },
      });
      await audit.record(transaction, {
        ...by(principal),
        action: 'invite_code.create',
        target: { type: 'InviteCode', id: inviteCode.id },
        detail: { agentIds },
      });
      return { code, inviteCode };
    });
  },
});
