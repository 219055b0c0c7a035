import { z } from 'zod';
import { keyKinds } from '../../authz/credentials.ts';
import { rolePermissions } from '../../authz/permissions.ts';
import { type Client, can, type Principal } from '../../authz/principal.ts';
import { hashSecret, isWellFormedSecret, newSecret, secretColumns } from '../../authz/secret.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, forbidden, notFound, parse } from '../../errors.ts';
import type { InviteCode, Prisma, User } from '../../generated/prisma/client.ts';
import { cut, ListOrder, type PageArgs } from '../../paging.ts';
import type { Database } from '../../store/database.ts';
import type { Revocations } from '../../store/revocations.ts';
import { databaseId } from '../../zod-types.ts';
import { type AuditService, by } from '../audit/audit.service.ts';
import { holdMaker } from '../tokens/origins.ts';
import { addressOf, soleUsername, unlessTaken, withinRole } from './accounts.service.ts';
import { endOwnerSessions } from './builtin-owner.ts';
import type { Attempts } from './login-throttle.ts';
import { hashPassword, newPassword } from './password.ts';
import { hasPeople, type UsersService } from './users.service.ts';

/** Maximum number of agents that one code can share. */
const maxAgents = 1000;
const CreateInviteCode = z.object({ agentIds: z.array(databaseId).max(maxAgents).nullish() });
const AcceptInvite = z.object({ code: z.string(), username: soleUsername, password: newPassword });

export type CreateInviteCodeInput = z.input<typeof CreateInviteCode>;
export type AcceptInviteInput = z.input<typeof AcceptInvite>;

export const inviteCodeOrder = new ListOrder('inviteCodes', [{ field: 'id', type: 'int', direction: 'asc' }]);

/** The role of a new account, whose permissions the creator of the code must have. */
const role = 'BASIC';

/** Selects codes that still work: their creator could create them now. A code of a key ends with that key. */
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
            kind: { in: keyKinds },
            revokedAt: null,
            disabledAt: null,
            AND: [
              { OR: [{ expiresAt: null }, { expiresAt: { gt: now } }] },
              { OR: [{ allScopes: true }, { scopes: { hasEvery: ['manage:users', ...rolePermissions(role)] } }] },
            ],
          },
        },
      },
      // The built-in owner has login sessions only.
      { tokens: { some: { kind: 'SESSION', revokedAt: null, expiresAt: { gt: now } } } },
    ],
  },
});

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

interface InviteCodesServiceDeps {
  db: Database;
  audit: AuditService;
  users: UsersService;
  revocations: Revocations;
  attempts: Attempts;
}

/** Creates the service for invite codes, each of which creates one account with access to agents. */
export function createInviteCodesService({ db, audit, users, revocations, attempts }: InviteCodesServiceDeps) {
  /** Returns a code. A text without the right format and checksum causes no query. */
  const find = async (code: string): Promise<{ id: number } | null> =>
    isWellFormedSecret(code, 'INVITE')
      ? db.prisma.inviteCode.findFirst({
          where: { AND: [open(), { hash: Uint8Array.from(hashSecret(code)) }] },
          select: { id: true },
        })
      : null;

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

  return {
    async list(args: PageArgs, limit: number, query: object) {
      const page = inviteCodeOrder.page(args, limit);
      return cut(await db.prisma.inviteCode.findMany({ ...query, ...page }), page);
    },

    count: () => db.prisma.inviteCode.count(),

    /**
     * Creates a code, returned once, for one account with the role BASIC. Its agents, at most 1000, are shared with the
     * new account. Throws BAD_USER_INPUT for an agent that the principal cannot share, FORBIDDEN for a principal with
     * fewer permissions than the account.
     */
    async create(
      principal: Principal,
      input: CreateInviteCodeInput,
    ): Promise<{ code: string; inviteCode: InviteCode }> {
      const agentIds = [...new Set(parse(CreateInviteCode, input).agentIds ?? [])];
      withinRole(principal, role);
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

    /** Returns the status of a code for its holder, or null for an unknown code. */
    async look(code: string): Promise<{ status: InviteCode['status'] } | null> {
      if (!isWellFormedSecret(code, 'INVITE')) return null;
      const hash = Uint8Array.from(hashSecret(code));
      const found = await db.prisma.inviteCode.findUnique({ where: { hash }, select: { id: true, status: true } });
      if (found?.status !== 'PENDING') return found;
      return { status: (await find(code)) ? 'PENDING' : 'DISABLED' };
    },

    /**
     * Creates an account with the role BASIC for the holder of a code and shares the code's agents with it. A code
     * works once. Throws BAD_USER_INPUT, RATE_LIMITED (like registration), NOT_FOUND for a code that does not work,
     * CONFLICT for a user name that is in use.
     */
    async accept(client: Client, input: AcceptInviteInput): Promise<User> {
      const { code, username, password } = parse(AcceptInvite, input);
      const attempt = await attempts.registration(client);
      const found = await find(code);
      if (!found) throw notFound('INVITE_CODE_NOT_FOUND');
      const passwordHash = await hashPassword(password);
      const { user, ended } = await unlessTaken(() =>
        db.prisma.$transaction(async (transaction) => {
          await users.lockAdmins(transaction);
          // Of two concurrent uses of one code, one finds it used here.
          const { count } = await transaction.inviteCode.updateMany({
            where: { AND: [open(), { id: found.id }] },
            data: { status: 'CLAIMED' },
          });
          if (count === 0) throw notFound('INVITE_CODE_NOT_FOUND');
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
      for (const id of ended) revocations.endToken(id);
      return user;
    },
  };
}
