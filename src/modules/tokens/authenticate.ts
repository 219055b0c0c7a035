import { effectivePermissions, type Role } from '../../authz/permissions.ts';
import type { Client, Principal } from '../../authz/principal.ts';
import type { Background } from '../../store/background.ts';
import type { Database, Statement } from '../../store/database.ts';
import type { AuditService } from '../audit/audit.service.ts';
import { hashSecret, isWellFormedSecret } from './secret.ts';

interface CredentialRow {
  id: number;
  kind: 'API_KEY' | 'PERSONAL';
  name: string | null;
  current: boolean;
  previousExpiresAt: Date | null;
  allScopes: boolean;
  scopes: string[];
  expiresAt: Date | null;
  disabledAt: Date | null;
  revokedAt: Date | null;
  lastUsedAt: Date | null;
  createdAt: Date;
  userId: string;
  userName: string;
  email: string;
  role: Role;
  accountType: 'STANDARD' | 'SERVICE_ACCOUNT';
  active: boolean;
}

/** The hottest statement of the server: one prepared look-up by hash, through two unique indexes. */
const findCredential: Statement = {
  name: 'find_credential',
  text: `SELECT t."id", t."kind"::text AS "kind", t."name", t."hash" = $1 AS "current", t."previousExpiresAt",
      t."allScopes", t."scopes", t."expiresAt", t."disabledAt", t."revokedAt", t."lastUsedAt", t."createdAt",
      u."id" AS "userId", u."name" AS "userName", u."email", u."role"::text AS "role",
      u."accountType"::text AS "accountType", u."active"
    FROM "Token" t JOIN "User" u ON u."id" = t."userId"
    WHERE t."hash" = $1 OR t."previousHash" = $1`,
};

/** `lastUsedAt` is written at most once in this time, in milliseconds. */
const lastUsedWindow = 60_000;

function refusal(row: CredentialRow, now: Date): string | null {
  if (row.revokedAt) return 'revoked';
  if (row.disabledAt) return 'disabled';
  if (row.expiresAt && row.expiresAt <= now) return 'expired';
  if (!row.current && !(row.previousExpiresAt && row.previousExpiresAt > now)) return 'regenerated';
  return row.active ? null : 'inactive owner';
}

export function authenticator(db: Database, audit: AuditService, background: Background) {
  /** When each token's last use was last put on its way to the database. */
  const written = new Map<number, number>();

  function used(row: CredentialRow, client: Client, now: Date): void {
    const last = Math.max(written.get(row.id) ?? 0, row.lastUsedAt?.getTime() ?? 0);
    if (last > now.getTime() - lastUsedWindow) return;
    if (written.size > 100_000) written.clear();
    written.set(row.id, now.getTime());
    background.run('last use', async () => {
      await db.prisma.token.updateMany({
        where: { id: row.id },
        data: { lastUsedAt: now, lastUsedAddress: client.address },
      });
    });
  }

  /**
   * Who a secret belongs to, from current rows, or null when it opens nothing: unknown, malformed, expired, revoked,
   * disabled and orphaned secrets are not told apart. A text without shape and checksum costs no query.
   */
  return async function authenticate(secret: string, client: Client): Promise<Principal | null> {
    if (!isWellFormedSecret(secret)) return null;
    const authenticatedAt = performance.now();
    const [row] = await db.query<CredentialRow>(findCredential, [hashSecret(secret)]);
    if (!row) return null;
    const now = new Date();
    const reason = refusal(row, now);
    if (reason) {
      const actor = { userId: row.userId, name: row.userName };
      audit.refused({ action: 'credential.refused', actor, tokenId: row.id, client, detail: { reason } });
      return null;
    }
    used(row, client, now);
    const scopes = row.allScopes ? null : row.scopes;
    return {
      userId: row.userId,
      name: row.userName,
      email: row.email,
      role: row.role,
      accountType: row.accountType,
      credential: {
        tokenId: row.id,
        kind: row.kind,
        name: row.name,
        scopes,
        createdAt: row.createdAt,
        expiresAt: row.expiresAt,
      },
      permissions: effectivePermissions(row.role, scopes),
      client,
      authenticatedAt,
    };
  };
}

export type Authenticate = ReturnType<typeof authenticator>;
