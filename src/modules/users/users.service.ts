import { conflict } from '../../errors.ts';
import type { Prisma, User } from '../../generated/prisma/client.ts';

type Transaction = Prisma.TransactionClient;

/** Any number; orders the transactions that change API keys, and so could take away the last admin. */
const adminLock = 7_203_841_161;

/**
 * Admins who can still come in and do everything: people with a password, and service accounts whose key works and is
 * not cut. Who was brought over from another server has no password yet.
 */
const ableAdmins = (): Prisma.UserWhereInput => ({
  role: 'ADMIN',
  active: true,
  OR: [
    { ...people, passwordHash: { not: null } },
    {
      tokens: {
        some: {
          kind: { in: ['API_KEY', 'ANYTHINGLLM'] },
          allScopes: true,
          revokedAt: null,
          disabledAt: null,
          OR: [{ expiresAt: null }, { expiresAt: { gt: new Date() } }],
        },
      },
    },
  ],
});

/** What is said who would take away the last admin. */
export const lastAdminStays = 'The last admin cannot be removed, demoted or disabled.';

/**
 * The user, held against every other change until the transaction ends, or null. Where a token's row is locked too, this
 * one comes first.
 */
export async function lockUser(transaction: Transaction, id: string): Promise<User | null> {
  await transaction.$queryRaw`SELECT 1 FROM "User" WHERE "id" = ${id}::uuid FOR UPDATE`;
  return transaction.user.findUnique({ where: { id } });
}

const people: Prisma.UserWhereInput = { accountType: 'STANDARD' };

/** Whether there is a person, one other than `except` if that is given; keys' users are none. */
export const hasPeople = async (transaction: Transaction, except?: string): Promise<boolean> =>
  (await transaction.user.findFirst({
    where: { ...people, ...(except !== undefined && { id: { not: except } }) },
    select: { id: true },
  })) !== null;

export function usersService() {
  return {
    /**
     * Holds off other transactions that change API keys or count admins until this one ends. Taken before anything is
     * read or locked, so that two of them neither overwrite each other's change nor wait for each other.
     */
    lockAdmins: async (transaction: Transaction): Promise<void> => {
      await transaction.$executeRaw`SELECT pg_advisory_xact_lock(${adminLock}::bigint)`;
    },

    countAdmins: (transaction: Transaction) => transaction.user.count({ where: ableAdmins() }),

    /** Throws CONFLICT when this user, and nobody else, can administer the server. Needs `lockAdmins`. */
    async keepAnAdmin(transaction: Transaction, userId: string): Promise<void> {
      const able = await transaction.user.findMany({ where: ableAdmins(), select: { id: true }, take: 2 });
      if (able.length === 1 && able[0]?.id === userId) throw conflict(lastAdminStays);
    },

    /**
     * Deletes a user and everything that is theirs alone: tokens, sessions, projects, private documents, private agents.
     * The users that the tokens of those projects act as go too, with what is theirs. Agents that others share or the
     * public sees stay, without an owner. Returns the ids of all users that are gone.
     */
    async erase(transaction: Transaction, userId: string): Promise<string[]> {
      const confined = await transaction.user.findMany({
        where: { accountType: 'SERVICE_ACCOUNT', tokens: { some: { kind: 'PROJECT', project: { ownerId: userId } } } },
        select: { id: true },
      });
      const gone = [userId, ...confined.map(({ id }) => id).filter((id) => id !== userId)];
      await transaction.chatSession.deleteMany({ where: { userId: { in: gone } } });
      await transaction.document.deleteMany({
        where: { isPublic: false, OR: [{ ownerId: { in: gone } }, { project: { ownerId: userId } }] },
      });
      const dying: Prisma.AgentWhereInput = {
        ownerId: { in: gone },
        isPublic: false,
        shares: { none: { userId: { notIn: gone } } },
      };
      // An administrator may have chatted with such an agent: that chat goes on with the default one.
      await transaction.chatSession.updateMany({ where: { agent: dying }, data: { agentId: 0, clientKey: null } });
      await transaction.agent.deleteMany({ where: dying });
      await transaction.user.deleteMany({ where: { id: { in: gone } } });
      return gone;
    },
  };
}

export type UsersService = ReturnType<typeof usersService>;
