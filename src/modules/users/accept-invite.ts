import { z } from 'zod';
import type { Client } from '../../authz/principal.ts';
import { notFound, parse } from '../../errors.ts';
import type { Prisma, User } from '../../generated/prisma/client.ts';
import { addressOf, soleUsername, unlessTaken } from './account-names.ts';
import { endOwnerSessions } from './builtin-owner.ts';
import { findOpenCode, invitedRole, openCodes } from './open-invite-codes.ts';
import { hashPassword, newPassword } from './password.ts';
import type { SignUpDeps } from './session-deps.ts';
import { hasPeople } from './users.service.ts';

const AcceptInvite = z.object({ code: z.string(), username: soleUsername, password: newPassword });
export type AcceptInviteInput = z.input<typeof AcceptInvite>;

/** The creator of a code with the creator's permissions. */
const maker = {
  createdBy: {
    select: {
      id: true,
      accountType: true,
      tokens: {
        where: { kind: { not: 'PERSONAL' }, revokedAt: null },
        select: { allScopes: true, scopes: true },
      },
    },
  },
} satisfies Prisma.InviteCodeInclude;
type CodeOfMaker = Prisma.InviteCodeGetPayload<{ include: typeof maker }>;

/** Returns whether a key can share the agents of all users. */
const sharesAll = ({ allScopes, scopes }: { allScopes: boolean; scopes: string[] }): boolean =>
  allScopes || scopes.includes('manage:agents');

/**
 * Returns the agents of a code that its creator, an ADMIN, could share now: all of them, or only own agents for a
 * restricted key.
 */
async function shareable(transaction: Prisma.TransactionClient, { agentIds, createdBy }: CodeOfMaker) {
  const whole = createdBy?.accountType === 'STANDARD' || createdBy?.tokens.some(sharesAll);
  return transaction.agent.findMany({
    where: {
      id: { in: agentIds },
      deletedAt: null,
      isBuiltin: false,
      ...(!whole && { ownerId: createdBy?.id ?? null }),
    },
    select: { id: true },
  });
}

/** Returns the creation of an account by the holder of an invite code. */
export const inviteAcceptance = ({ db, audit, users, revocations, attempts }: SignUpDeps) => ({
  /**
   * Creates an account with the role BASIC for the holder of a code and shares the code's agents with it. A code
   * works once. Throws BAD_USER_INPUT, RATE_LIMITED (like registration), NOT_FOUND for a code that does not work,
   * CONFLICT for a user name that is in use.
   */
  async accept(client: Client, input: AcceptInviteInput): Promise<User> {
    const { code, username, password } = parse(AcceptInvite, input);
    const attempt = await attempts.registration(client);
    const found = await findOpenCode(db, code);
    if (!found) throw notFound('INVITE_CODE_NOT_FOUND');
    const passwordHash = await hashPassword(password);
    const { user, ended } = await unlessTaken(() =>
      db.prisma.$transaction(async (transaction) => {
        await users.lockAdmins(transaction);
        // Of two concurrent uses of one code, one finds it used here.
        const { count } = await transaction.inviteCode.updateMany({
          where: { AND: [openCodes(), { id: found.id }] },
          data: { status: 'CLAIMED' },
        });
        if (count === 0) throw notFound('INVITE_CODE_NOT_FOUND');
        const first = !(await hasPeople(transaction));
        const email = addressOf(username);
        await transaction.invitation.deleteMany({ where: { email } });
        const user = await transaction.user.create({
          data: { email, username, name: username, role: invitedRole, passwordHash },
        });
        const invite = await transaction.inviteCode.update({
          where: { id: found.id },
          data: { claimedById: user.id },
          include: maker,
        });
        const agents = await shareable(transaction, invite);
        await transaction.agentShare.createMany({ data: agents.map(({ id }) => ({ agentId: id, userId: user.id })) });
        // Once people can log in, the server's own password no longer works.
        const ended = first ? await endOwnerSessions(transaction) : [];
        await audit.record(transaction, {
          action: 'invite_code.claim',
          actor: { userId: user.id, name: user.name },
          tokenId: null,
          client,
          target: { type: 'InviteCode', id: found.id },
          detail: { username, agentIds: agents.map(({ id }) => id) },
        });
        return { user, ended };
      }),
    );
    await attempt.succeeded();
    for (const id of ended) await revocations.endToken(id);
    return user;
  },
});
