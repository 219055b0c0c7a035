import { conflict } from '../../errors.ts';
import type { Prisma } from '../../generated/prisma/client.ts';

type Transaction = Prisma.TransactionClient;

/** Any number; orders the transactions that could take away the last admin. */
const adminLock = 7_203_841_161;

/** Admins who can still come in: people, and service accounts whose key works. */
const ableAdmins = (): Prisma.UserWhereInput => ({
  role: 'ADMIN',
  active: true,
  OR: [
    { accountType: 'STANDARD' },
    {
      tokens: {
        some: {
          kind: 'API_KEY',
          revokedAt: null,
          disabledAt: null,
          OR: [{ expiresAt: null }, { expiresAt: { gt: new Date() } }],
        },
      },
    },
  ],
});

export function usersService() {
  const service = {
    /** Holds off other transactions that count admins until this one ends. */
    lockAdmins: async (transaction: Transaction): Promise<void> => {
      await transaction.$executeRaw`SELECT pg_advisory_xact_lock(${adminLock}::bigint)`;
    },

    countAdmins: (transaction: Transaction) => transaction.user.count({ where: ableAdmins() }),

    /** Throws CONFLICT when nobody but this user could administer the server. */
    async keepAnAdmin(transaction: Transaction, userId: string): Promise<void> {
      await service.lockAdmins(transaction);
      const others = await transaction.user.count({ where: { AND: [ableAdmins(), { id: { not: userId } }] } });
      if (others === 0) throw conflict('The last admin cannot be removed, demoted or disabled.');
    },

    /**
     * Deletes a user and everything that is theirs alone: tokens, sessions, private documents, private agents.
     * Agents that others share or the public sees stay, without an owner.
     */
    async erase(transaction: Transaction, userId: string): Promise<void> {
      await transaction.chatSession.deleteMany({ where: { userId } });
      await transaction.document.deleteMany({ where: { ownerId: userId, isPublic: false } });
      const dying: Prisma.AgentWhereInput = { ownerId: userId, isPublic: false, shares: { none: {} } };
      // An administrator may have chatted with such an agent: that chat goes on with the default one.
      await transaction.chatSession.updateMany({ where: { agent: dying }, data: { agentId: 0 } });
      await transaction.agent.deleteMany({ where: dying });
      await transaction.user.delete({ where: { id: userId } });
    },
  };
  return service;
}

export type UsersService = ReturnType<typeof usersService>;
