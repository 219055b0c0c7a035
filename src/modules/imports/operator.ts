import { keyKinds } from '../../authz/credentials.ts';
import { rolePermissions } from '../../authz/permissions.ts';
import type { Principal } from '../../authz/principal.ts';
import { hashSecret } from '../../authz/secret.ts';
import type { User } from '../../generated/prisma/client.ts';
import type { Settings } from '../../settings.ts';
import type { Database } from '../../store/database.ts';
import { comparable } from '../../text/normalize.ts';

/** The command cannot run. The message is one line for the operator. */
export class ImportError extends Error {
  override readonly name = 'ImportError';
}

const admin = { role: 'ADMIN', active: true } as const;

/**
 * Returns the administrator that becomes the owner of imported objects: the one with the address, the one of
 * `BOOTSTRAP_ADMIN_KEY`, or the oldest. Returns null on a server without administrators when no address was given.
 * Throws ImportError.
 */
async function findAdmin(db: Database, settings: Settings, address: string | null): Promise<User | null> {
  const { user } = db.prisma;
  if (address !== null) {
    const found = await user.findFirst({ where: { ...admin, email: comparable(address) } });
    if (!found) throw new ImportError(`--as ${address}: no administrator has this address`);
    return found;
  }
  if (settings.bootstrapAdminKey !== undefined) {
    const hash = Uint8Array.from(hashSecret(settings.bootstrapAdminKey));
    const found = await user.findFirst({ where: { ...admin, tokens: { some: { hash, revokedAt: null } } } });
    if (found) return found;
  }
  return user.findFirst({ where: admin, orderBy: [{ createdAt: 'asc' }, { id: 'asc' }] });
}

/** Returns the administrator that an import acts as; see {@link findAdmin}. Throws ImportError. */
export async function operatorOf(db: Database, settings: Settings, address: string | null): Promise<Principal | null> {
  const user = await findAdmin(db, settings, address);
  if (!user) return null;
  const token = await db.prisma.token.findFirst({
    where: { userId: user.id, kind: { in: keyKinds }, revokedAt: null },
    orderBy: { id: 'asc' },
  });
  return {
    userId: user.id,
    name: user.name,
    email: user.email,
    role: user.role,
    accountType: user.accountType,
    credential: {
      // An operator at the command line has no token: 0 is not a token ID.
      tokenId: token?.id ?? 0,
      kind: token?.kind ?? 'API_KEY',
      name: 'import',
      scopes: null,
      projectId: null,
      projectOwnerId: null,
      superseded: false,
      secretVersion: 0,
      createdAt: token?.createdAt ?? user.createdAt,
      expiresAt: null,
      lastUsedAt: null,
    },
    permissions: rolePermissions('ADMIN'),
    client: { address: null, userAgent: 'latchkey import' },
    authenticatedAt: performance.now(),
  };
}
