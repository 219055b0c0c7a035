import { z } from 'zod';
import { rolePermissions } from '../../authz/permissions.ts';
import { type Client, can, type Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, forbidden, notFound, parse } from '../../errors.ts';
import type { InviteCode, Prisma, User } from '../../generated/prisma/client.ts';
import { cut, ListOrder, type PageArgs } from '../../paging.ts';
import type { Database } from '../../store/database.ts';
import type { Revocations } from '../../store/revocations.ts';
import { type AuditService, by } from '../audit/audit.service.ts';
import { databaseId } from '../input.ts';
import { holdMaker } from '../tokens/origins.ts';
import { hashSecret, isWellFormedSecret, newSecret, prefixes, secretColumns } from '../tokens/secret.ts';
import { addressOf, soleUsername, unlessTaken, withinRole } from './accounts.service.ts';
import type { Attempts } from './attempts.ts';
import { endOwnerSessions } from './owner.ts';
import { hashPassword, newPassword } from './password.ts';
import { hasPeople, type UsersService } from './users.service.ts';

/** Agents that one code may share. */
const mostAgents = 1000;
const CreateInviteCode = z.object({ agentIds: z.array(databaseId).max(mostAgents).nullish() });
const AcceptInvite = z.object({ code: z.string(), username: soleUsername, password: newPassword });

export type CreateInviteCodeInput = z.input<typeof CreateInviteCode>;
export type AcceptInviteInput = z.input<typeof AcceptInvite>;

export const inviteCodeOrder = new ListOrder('inviteCodes', [{ field: 'id', type: 'int', direction: 'asc' }]);

/** What a new account holds. Its maker holds all of that. */
const role = 'BASIC';

/**
 * Codes that still open something: whoever made one stands behind it, and could make it now. A code of a key ends with
 * that key.
 */
const open = (now = new Date()): Prisma.InviteCodeWhereInput => ({
  status: 'PENDING',
  createdBy: {
    active: true,
    role: 'ADMIN',
    OR: [
      { accountType: 'STANDARD' },
      {
        tokens: {
          some: {
            kind: { in: ['API_KEY', 'ANYTHINGLLM'] },
            revokedAt: null,
            disabledAt: null,
            AND: [
              { OR: [{ expiresAt: null }, { expiresAt: { gt: now } }] },
              { OR: [{ allScopes: true }, { scopes: { hasEvery: ['manage:users', ...rolePermissions(role)] } }] },
            ],
          },
        },
      },
      // The built-in owner, who has sessions alone.
      { tokens: { some: { kind: 'SESSION', revokedAt: null, expiresAt: { gt: now } } } },
    ],
  },
});

/** With a code: who made it, and what they hold. */
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

/** Whether a key shares everybody's agents. */
const sharesAll = ({ allScopes, scopes }: { allScopes: boolean; scopes: string[] }): boolean =>
  allScopes || scopes.includes('manage:agents');

interface Parts {
  db: Database;
  audit: AuditService;
  users: UsersService;
  revocations: Revocations;
  attempts: Attempts;
}

/** Codes with each of which one person makes an account of their own, and joins agents. */
export function inviteCodesService({ db, audit, users, revocations, attempts }: Parts) {
  /** The code, if it is one. A text without shape and checksum costs no query. */
  const find = async (code: string): Promise<{ id: number } | null> =>
    isWellFormedSecret(code, prefixes.INVITE)
      ? db.prisma.inviteCode.findFirst({
          where: { AND: [open(), { hash: Uint8Array.from(hashSecret(code)) }] },
          select: { id: true },
        })
      : null;

  /** A code's agents that its maker, an ADMIN yet, could still share: all of them, or with a cut key their own. */
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

  return {
    async list(args: PageArgs, limit: number, query: object) {
      const page = inviteCodeOrder.page(args, limit);
      return cut(await db.prisma.inviteCode.findMany({ ...query, ...page }), page);
    },

    count: () => db.prisma.inviteCode.count(),

    /**
     * Makes a code, returned this once, for one account with the role BASIC. Its agents, at most 1000, are shared with
     * whoever claims it. Throws BAD_USER_INPUT for an agent that the principal could not share, FORBIDDEN for a
     * principal that holds less than the account will.
     */
    async create(
      principal: Principal,
      input: CreateInviteCodeInput,
    ): Promise<{ code: string; inviteCode: InviteCode }> {
      const agentIds = [...new Set(parse(CreateInviteCode, input).agentIds ?? [])];
      withinRole(principal, role);
      if (agentIds.length > 0 && !can(principal, 'write:agents')) throw forbidden(['write:agents']);
      const code = newSecret(prefixes.INVITE);
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

    /** Makes a code useless, whatever became of it; a second time changes nothing. Throws NOT_FOUND. */
    disable(principal: Principal, id: number): Promise<InviteCode> {
      return db.prisma.$transaction(async (transaction) => {
        const { count } = await transaction.inviteCode.updateMany({
          where: { id, status: { not: 'DISABLED' } },
          data: { status: 'DISABLED' },
        });
        const inviteCode = await transaction.inviteCode.findUnique({ where: { id } });
        if (!inviteCode) throw notFound('Invite code');
        if (count > 0)
          await audit.record(transaction, {
            ...by(principal),
            action: 'invite_code.disable',
            target: { type: 'InviteCode', id },
          });
        return inviteCode;
      });
    },

    /** What became of a code, to who holds it; null for what is none. */
    async look(code: string): Promise<{ status: InviteCode['status'] } | null> {
      if (!isWellFormedSecret(code, prefixes.INVITE)) return null;
      const hash = Uint8Array.from(hashSecret(code));
      const found = await db.prisma.inviteCode.findUnique({ where: { hash }, select: { id: true, status: true } });
      if (found?.status !== 'PENDING') return found;
      return { status: (await find(code)) ? 'PENDING' : 'DISABLED' };
    },

    /**
     * Makes an account with the role BASIC for who holds a code, and shares the code's agents with it. A code works once.
     * Throws BAD_USER_INPUT, RATE_LIMITED (as registrations are), NOT_FOUND for a code that opens nothing, CONFLICT for a
     * username that is taken.
     */
    async accept(client: Client, input: AcceptInviteInput): Promise<User> {
      const { code, username, password } = parse(AcceptInvite, input);
      const attempt = await attempts.registration(client);
      const found = await find(code);
      if (!found) throw notFound('Invite code');
      const passwordHash = await hashPassword(password);
      const { user, ended } = await unlessTaken(() =>
        db.prisma.$transaction(async (transaction) => {
          await users.lockAdmins(transaction);
          // Of two that come with one code at the same time, one finds it claimed here.
          const { count } = await transaction.inviteCode.updateMany({
            where: { AND: [open(), { id: found.id }] },
            data: { status: 'CLAIMED' },
          });
          if (count === 0) throw notFound('Invite code');
          const first = !(await hasPeople(transaction));
          const email = addressOf(username);
          await transaction.invitation.deleteMany({ where: { email } });
          const user = await transaction.user.create({ data: { email, username, name: username, role, passwordHash } });
          const invite = await transaction.inviteCode.update({
            where: { id: found.id },
            data: { claimedById: user.id },
            include: maker,
          });
          const agents = await shareable(transaction, invite);
          await transaction.agentShare.createMany({ data: agents.map(({ id }) => ({ agentId: id, userId: user.id })) });
          // Where people log in, the server's own password opens nothing any more.
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
      for (const id of ended) revocations.endToken(id);
      return user;
    },
  };
}

export type InviteCodesService = ReturnType<typeof inviteCodesService>;
