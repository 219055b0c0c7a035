import { z } from 'zod';
import type { Principal } from '../../authz/principal.ts';
import { notFound, parse } from '../../errors.ts';
import type { Invitation, Prisma } from '../../generated/prisma/client.ts';
import { cut, ListOrder, type PageArgs } from '../../paging.ts';
import { comparable } from '../../text/normalize.ts';
import { containing, plainText } from '../../zod-types.ts';
import { by } from '../audit/audit.service.ts';
import { holdMaker } from '../tokens/origins.ts';
import type { AccountDeps } from './account-deps.ts';
import { emailAddress } from './account-names.ts';
import { withinRole } from './account-rules.ts';
import { hasPeople } from './users.service.ts';

/** Maximum number of invitations per request. */
const maxInvitations = 1000;
const Invite = z.object({ emails: z.array(emailAddress).min(1).max(maxInvitations) });

const InvitationFilter = z.object({ search: plainText(500).nullish() });
export type InvitationFilter = z.input<typeof InvitationFilter>;

export const invitationOrder = new ListOrder('invitations', [{ field: 'id', type: 'int', direction: 'asc' }]);

function invited(filter: InvitationFilter): Prisma.InvitationWhereInput {
  const { search } = parse(InvitationFilter, filter, ['filter']);
  return search ? { email: containing(search) } : {};
}

/** Returns the use cases of invitations to register. */
export const invitations = ({ db, audit, users }: AccountDeps) => ({
  async listInvitations(filter: InvitationFilter, args: PageArgs, limit: number) {
    const page = invitationOrder.page(args, limit);
    const rows = await db.prisma.invitation.findMany({ ...page, where: { AND: [invited(filter), page.where] } });
    return cut(rows, page);
  },

  countInvitations: (filter: InvitationFilter) => db.prisma.invitation.count({ where: invited(filter) }),

  /**
   * Invites up to 1000 e-mail addresses and returns the new invitations. Skips addresses that are already registered
   * or invited. Throws BAD_USER_INPUT when an entry is not an e-mail address; in that case, no address is invited.
   */
  async invite(principal: Principal, input: { emails: string[] }): Promise<Invitation[]> {
    const emails = [...new Set(parse(Invite, input).emails)];
    return db.prisma.$transaction(async (transaction) => {
      await users.lockAdmins(transaction);
      const creatorTokenIds = await holdMaker(transaction, principal);
      // On a server without registered people, an invited person can become the first administrator.
      if (!(await hasPeople(transaction))) withinRole(principal, 'ADMIN');
      const registered = await transaction.user.findMany({
        where: { email: { in: emails } },
        select: { email: true },
      });
      const known = new Set(registered.map(({ email }) => email));
      const made = await transaction.invitation.createManyAndReturn({
        data: emails
          .filter((email) => !known.has(email))
          .map((email) => ({ email, invitedById: principal.userId, creatorTokenIds })),
        skipDuplicates: true,
      });
      await audit.record(transaction, {
        ...by(principal),
        action: 'invitation.create',
        detail: { emails, count: made.length },
      });
      return made;
    });
  },

  /**
   * Removes an invitation. Returns its ID and the number of remaining invitations. Throws BAD_USER_INPUT, NOT_FOUND.
   */
  async removeInvitation(
    principal: Principal,
    key: { id: number } | { email: string },
  ): Promise<{ id: number; remaining: number }> {
    const where =
      'id' in key ? key : { email: parse(plainText(254).overwrite(comparable), key.email, ['input', 'email']) };
    return db.prisma.$transaction(async (transaction) => {
      await users.lockAdmins(transaction);
      const invitation = await transaction.invitation.findFirst({ where });
      if (!invitation) throw notFound('INVITATION_NOT_FOUND');
      const { id, email } = invitation;
      await transaction.invitation.delete({ where: { id } });
      await audit.record(transaction, { ...by(principal), action: 'invitation.delete', detail: { email } });
      return { id, remaining: await transaction.invitation.count() };
    });
  },
});
