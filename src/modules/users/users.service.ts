import { keyKinds } from '../../authz/credentials.ts';
import { conflict } from '../../errors.ts';
import type { Prisma, User } from '../../generated/prisma/client.ts';

type Transaction = Prisma.TransactionClient;

/** An arbitrary number. Orders the transactions that change API keys and could remove the last administrator. */
const adminLock = 7_203_841_161;

/**
 * Selects administrators that can sign in with all permissions: people with a password, and service accounts whose key
 * works and is not restricted. An imported person has no password yet.
 */
const ableAdmins = (): Prisma.UserWhereInput => ({
  role: 'ADMIN',
  active: true,
  OR: [
    { ...people, passwordHash: { not: null } },
    {
      tokens: {
        some: {
          kind: { in: keyKinds },
          allScopes: true,
          revokedAt: null,
          disabledAt: null,
          OR: [{ expiresAt: null }, { expiresAt: { gt: new Date() } }],
        },
      },
    },
  ],
});

/** The message for an operation that would remove the last administrator. */
export const lastAdminStays = 'The last admin cannot be removed, demoted or disabled.';

/**
 * Returns the user, locked against every other change until the transaction ends, or null. Must be called before a
 * token's row is locked.
 */
export async function lockUser(transaction: Transaction, id: string): Promise<User | null> {
  await transaction.$queryRaw`SELECT 1 FROM "User" WHERE "id" = ${id}::uuid FOR UPDATE`;
  return transaction.user.findUnique({ where: { id } });
}

const people: Prisma.UserWhereInput = { accountType: 'STANDARD' };

/** Returns whether a person exists, other than `except` if it is given. Users of keys do not count. */
export const hasPeople = async (transaction: Transaction, except?: string): Promise<boolean> =>
  (await transaction.user.findFirst({
    where: { ...people, ...(except !== undefined && { id: { not: except } }) },
    select: { id: true },
  })) !== null;

export function createUsersService() {
  return {
    /**
     * Waits for other transactions that change API keys or count administrators. Taken before anything is read or
     * locked, so that two of them neither overwrite each other's change nor deadlock.
     */
    lockAdmins: async (transaction: Transaction): Promise<void> => {
      await transaction.$executeRaw`SELECT pg_advisory_xact_lock(${adminLock}::bigint)`;
    },

    countAdmins: (transaction: Transaction) => transaction.user.count({ where: ableAdmins() }),

    /** Throws CONFLICT when this user is the only administrator. Requires `lockAdmins`. */
    async keepAnAdmin(transaction: Transaction, userId: string): Promise<void> {
      const able = await transaction.user.findMany({ where: ableAdmins(), select: { id: true }, take: 2 });
      if (able.length === 1 && able[0]?.id === userId) throw conflict('LAST_ADMIN', lastAdminStays);
    },

    /**
     * Deletes a user and everything that belongs to the user alone: tokens, sessions, projects, private documents,
     * private agents, and the users of the projects' tokens with their objects. Public and shared agents stay, without
     * an owner. Returns the IDs of all deleted users.
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
      // An administrator may have chatted with such an agent: the chat continues with the default agent.
      await transaction.chatSession.updateMany({ where: { agent: dying }, data: { agentId: 0, clientKey: null } });
      await transaction.agent.deleteMany({ where: dying });
      await transaction.user.deleteMany({ where: { id: { in: gone } } });
      return gone;
    },
  };
}

export type UsersService = ReturnType<typeof createUsersService>;
