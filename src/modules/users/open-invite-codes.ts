import { keyKinds } from '../../authz/credentials.ts';
import { rolePermissions } from '../../authz/permissions.ts';
import { hashSecret, isWellFormedSecret } from '../../authz/secret.ts';
import type { Prisma } from '../../generated/prisma/client.ts';
import type { Database } from '../../store/database.ts';

/** The role of an account from an invite code, whose permissions the creator of the code must have. */
export const invitedRole = 'BASIC';

/** Selects codes that still work: their creator could create them now. A code of a key ends with that key. */
export const openCodes = (now = new Date()): Prisma.InviteCodeWhereInput => ({
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
              {
                OR: [{ allScopes: true }, { scopes: { hasEvery: ['manage:users', ...rolePermissions(invitedRole)] } }],
              },
            ],
          },
        },
      },
      // The built-in owner has login sessions only.
      { tokens: { some: { kind: 'SESSION', revokedAt: null, expiresAt: { gt: now } } } },
    ],
  },
});

/** Returns a code that still works. A text without the right format and checksum causes no query. */
export const findOpenCode = async (db: Database, code: string): Promise<{ id: number } | null> =>
  isWellFormedSecret(code, 'INVITE')
    ? db.prisma.inviteCode.findFirst({
        where: { AND: [openCodes(), { hash: Uint8Array.from(hashSecret(code)) }] },
        select: { id: true },
      })
    : null;
