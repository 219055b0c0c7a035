import {
  effectivePermissions,
  holdsInProject,
  intersection,
  type Permission,
  type Role,
} from '../../authz/permissions.ts';
import type { Client, CredentialKind, Principal } from '../../authz/principal.ts';
import type { Background } from '../../store/background.ts';
import type { Database, Statement } from '../../store/database.ts';
import type { AuditService } from '../audit/audit.service.ts';
import { hashSecret, isWellFormedSecret } from './secret.ts';

interface CredentialRow {
  id: number;
  kind: CredentialKind;
  name: string | null;
  current: boolean;
  previousExpiresAt: Date | null;
  secretVersion: number;
  allScopes: boolean;
  scopes: string[];
  projectId: number | null;
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
  /** Of a project token: the owner of the project. */
  ownerId: string | null;
  ownerRole: Role | null;
  ownerActive: boolean | null;
  /** Of a service account's personal token, and of a token of a service account's project: that account's own key. */
  keyId: number | null;
  keyAllScopes: boolean;
  keyScopes: string[];
  keyExpiresAt: Date | null;
  keyDisabledAt: Date | null;
  keyRevokedAt: Date | null;
}

/** A token with those whom it cannot exceed, as they are now: its user, the owner of its project, the key of the account behind it. */
const credential = (current: string, which: string): string => `SELECT t."id", t."kind"::text AS "kind", t."name",
      ${current} AS "current", t."previousExpiresAt", t."secretVersion",
      t."allScopes", t."scopes", t."projectId", t."expiresAt", t."disabledAt", t."revokedAt", t."lastUsedAt", t."createdAt",
      u."id" AS "userId", u."name" AS "userName", u."email", u."role"::text AS "role",
      u."accountType"::text AS "accountType", u."active",
      o."id" AS "ownerId", o."role"::text AS "ownerRole", o."active" AS "ownerActive",
      k."id" AS "keyId", k."allScopes" AS "keyAllScopes", k."scopes" AS "keyScopes", k."expiresAt" AS "keyExpiresAt",
      k."disabledAt" AS "keyDisabledAt", k."revokedAt" AS "keyRevokedAt"
    FROM "Token" t JOIN "User" u ON u."id" = t."userId"
      LEFT JOIN "Project" p ON p."id" = t."projectId"
      LEFT JOIN "User" o ON o."id" = p."ownerId"
      LEFT JOIN "Token" k ON k."userId" = CASE t."kind" WHEN 'PERSONAL' THEN t."userId" WHEN 'PROJECT' THEN p."ownerId" END
        AND k."kind" IN ('API_KEY', 'ANYTHINGLLM')
    WHERE ${which}`;

/** The hottest statement of the server: one prepared look-up by hash, through two unique indexes. */
const findCredential: Statement = {
  name: 'find_credential',
  text: credential('t."hash" = $1', 't."hash" = $1 OR t."previousHash" = $1'),
};

/** The token that the visitors of a chat widget act with. */
const findEmbedToken: Statement = {
  name: 'find_embed_token',
  text: credential('true', `t."id" = $1 AND t."kind" = 'EMBED'`),
};

/** `lastUsedAt` is written at most once in this time, in milliseconds. */
const lastUsedWindow = 60_000;

/** How long a login session lasts from its last use on. Milliseconds. */
export const sessionLifetimeMs = 7 * 24 * 3600 * 1000;

const over = (end: Date | null, now: Date): boolean => end != null && end <= now;

function refusal(row: CredentialRow, now: Date): string | null {
  if (row.revokedAt) return 'revoked';
  if (row.disabledAt) return 'disabled';
  if (over(row.expiresAt, now)) return 'expired';
  if (!row.current && !(row.previousExpiresAt && row.previousExpiresAt > now)) return 'regenerated';
  if (!row.active || row.ownerActive === false) return 'inactive owner';
  return row.keyRevokedAt || row.keyDisabledAt || over(row.keyExpiresAt, now) ? 'inactive key of its owner' : null;
}

/** Role, scopes, project, and whoever stands behind the token: what all of them allow, and nothing else. */
function permissionsOf(row: CredentialRow): ReadonlySet<Permission> {
  let held = effectivePermissions(row.role, row.allScopes ? null : row.scopes);
  if (row.projectId != null) held = new Set([...held].filter(holdsInProject));
  if (row.ownerRole != null) held = intersection(held, effectivePermissions(row.ownerRole, null));
  if (row.keyId != null && !row.keyAllScopes) held = intersection(held, new Set(row.keyScopes as Permission[]));
  return held;
}

/** The first of the ends that a credential comes to. */
function end(row: CredentialRow): Date | null {
  const ends = [row.expiresAt, row.keyExpiresAt, row.current ? null : row.previousExpiresAt].filter(
    (date) => date != null,
  );
  return ends.length === 0 ? null : new Date(Math.min(...ends.map(Number)));
}

export function authenticator(db: Database, audit: AuditService, background: Background) {
  /** When each token's last use was last put on its way to the database. */
  const written = new Map<number, number>();

  function used(row: CredentialRow, client: Client, now: Date): void {
    const last = Math.max(written.get(row.id) ?? 0, row.lastUsedAt?.getTime() ?? 0);
    if (last > now.getTime() - lastUsedWindow) return;
    if (written.size > 100_000) written.clear();
    written.set(row.id, now.getTime());
    const slides = row.kind === 'SESSION' && { expiresAt: new Date(now.getTime() + sessionLifetimeMs) };
    background.run('last use', async () => {
      await db.prisma.token.updateMany({
        where: { id: row.id },
        data: { lastUsedAt: now, lastUsedAddress: client.address, ...slides },
      });
    });
  }

  /** What a secret's row says of it, dead or alive; null for what is malformed or unknown. */
  async function look(secret: string): Promise<{ row: CredentialRow; reason: string | null; now: Date } | null> {
    if (!isWellFormedSecret(secret)) return null;
    const [row] = await db.query<CredentialRow>(findCredential, [hashSecret(secret)]);
    const now = new Date();
    return row ? { row, reason: refusal(row, now), now } : null;
  }

  const principalOf = (row: CredentialRow, client: Client, authenticatedAt: number): Principal => ({
    userId: row.userId,
    name: row.userName,
    email: row.email,
    role: row.role,
    accountType: row.accountType,
    credential: {
      tokenId: row.id,
      kind: row.kind,
      name: row.name,
      scopes: row.allScopes ? null : row.scopes,
      projectId: row.projectId,
      projectOwnerId: row.ownerId,
      superseded: !row.current,
      secretVersion: row.secretVersion,
      createdAt: row.createdAt,
      expiresAt: end(row),
      lastUsedAt: row.lastUsedAt,
    },
    permissions: permissionsOf(row),
    client,
    authenticatedAt,
  });

  return {
    /**
     * Who a secret belongs to, from current rows, or null when it opens nothing: unknown, malformed, expired, revoked,
     * disabled and orphaned secrets are not told apart. A text without shape and checksum costs no query.
     */
    async authenticate(secret: string, client: Client): Promise<Principal | null> {
      const authenticatedAt = performance.now();
      const found = await look(secret);
      if (!found) return null;
      const { row, reason, now } = found;
      if (reason) {
        const actor = { userId: row.userId, name: row.userName };
        audit.refused({ action: 'credential.refused', actor, tokenId: row.id, client, detail: { reason } });
        return null;
      }
      used(row, client, now);
      return principalOf(row, client, authenticatedAt);
    },

    /**
     * Who the visitors of a chat widget act as, by its token and from current rows, or null when that opens nothing any
     * more. There is no secret to show: whoever calls this has checked that the widget is there, and for them. Where a
     * visitor calls from is not kept.
     */
    async actAs(tokenId: number): Promise<Principal | null> {
      const authenticatedAt = performance.now();
      const [row] = await db.query<CredentialRow>(findEmbedToken, [tokenId]);
      const now = new Date();
      if (!row || refusal(row, now)) return null;
      const nobody = { address: null, userAgent: null };
      used(row, nobody, now);
      return principalOf(row, nobody, authenticatedAt);
    },

    /** Who a secret would belong to, for whoever asks on its behalf: that is no use of it, and no refused one. */
    async inspect(secret: string): Promise<Principal | null> {
      const found = await look(secret);
      return found && !found.reason
        ? principalOf(found.row, { address: null, userAgent: null }, performance.now())
        : null;
    },
  };
}

export type Authenticator = ReturnType<typeof authenticator>;
