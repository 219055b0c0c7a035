import { type CredentialKind, keyKinds } from '../../authz/credentials.ts';
import {
  effectivePermissions,
  holdsInProject,
  intersection,
  type Permission,
  type Role,
} from '../../authz/permissions.ts';
import type { Client, Principal } from '../../authz/principal.ts';
import { hashSecret, isWellFormedSecret } from '../../authz/secret.ts';
import type { Background } from '../../store/background.ts';
import type { Database, Statement } from '../../store/database.ts';
import type { AuditService } from '../audit/audit.service.ts';

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
  /** For a project token: the owner of the project. */
  ownerId: string | null;
  ownerRole: Role | null;
  ownerActive: boolean | null;
  /**
   * For a personal access token of a service account, and a token of a service account's project: the key of that
   * account.
   */
  keyId: number | null;
  keyAllScopes: boolean;
  keyScopes: string[];
  keyExpiresAt: Date | null;
  keyDisabledAt: Date | null;
  keyRevokedAt: Date | null;
}

/**
 * Selects a token with the current rows that limit it: its user, the owner of its project, and the key of the service
 * account that it depends on.
 */
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
        AND k."kind" IN (${keyKinds.map((kind) => `'${kind}'`).join(', ')})
    WHERE ${which}`;

/** The driver describes each column of each result. One column of JSON takes a third of the time of thirty columns. */
const asJson = (select: string): string => `SELECT row_to_json(c) AS "credential" FROM (${select}) c`;

/** The most frequent statement: one prepared lookup by hash through two unique indexes. */
const findCredential: Statement = {
  name: 'find_credential',
  text: asJson(credential('t."hash" = $1', 't."hash" = $1 OR t."previousHash" = $1')),
};

/** Selects the token that the visitors of a chat widget act with. */
const findEmbedToken: Statement = {
  name: 'find_embed_token',
  text: asJson(credential('true', `t."id" = $1 AND t."kind" = 'EMBED'`)),
};

const dateColumns = [
  'previousExpiresAt',
  'expiresAt',
  'disabledAt',
  'revokedAt',
  'lastUsedAt',
  'createdAt',
  'keyExpiresAt',
  'keyDisabledAt',
  'keyRevokedAt',
] as const satisfies (keyof CredentialRow)[];

/** Runs one of the statements above. Returns undefined when no token matches. */
async function findRow(db: Database, statement: Statement, value: unknown): Promise<CredentialRow | undefined> {
  const [found] = await db.query<{ credential: Record<string, unknown> }>(statement, [value]);
  if (!found) return undefined;
  const row = found.credential;
  for (const column of dateColumns) {
    const text = row[column];
    if (typeof text === 'string') row[column] = new Date(text);
  }
  return row as unknown as CredentialRow;
}

/** Minimum interval between writes of `lastUsedAt`, in milliseconds. */
const lastUsedWindow = 60_000;

/** Lifetime of a login session after its last use. Milliseconds. */
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

/** Returns the permissions that the role, the scopes, the project and the credential it depends on all allow. */
function permissionsOf(row: CredentialRow): ReadonlySet<Permission> {
  let held = effectivePermissions(row.role, row.allScopes ? null : row.scopes);
  if (row.projectId != null) held = new Set([...held].filter(holdsInProject));
  if (row.ownerRole != null) held = intersection(held, effectivePermissions(row.ownerRole, null));
  if (row.keyId != null && !row.keyAllScopes) held = intersection(held, new Set(row.keyScopes as Permission[]));
  return held;
}

/** Returns the earliest expiry of a credential. */
function end(row: CredentialRow): Date | null {
  const ends = [row.expiresAt, row.keyExpiresAt, row.current ? null : row.previousExpiresAt].filter(
    (date) => date != null,
  );
  return ends.length === 0 ? null : new Date(Math.min(...ends.map(Number)));
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

export function createAuthenticator(db: Database, audit: AuditService, background: Background) {
  /** When the last use of each token was last queued for writing. */
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

  /** Returns the row of a secret, working or not, or null for a malformed or unknown secret. */
  async function look(secret: string): Promise<{ row: CredentialRow; reason: string | null; now: Date } | null> {
    if (!isWellFormedSecret(secret)) return null;
    const row = await findRow(db, findCredential, hashSecret(secret));
    const now = new Date();
    return row ? { row, reason: refusal(row, now), now } : null;
  }

  return {
    /**
     * Returns the principal of a secret from current rows, or null when it does not work: unknown, malformed, expired,
     * revoked, disabled and orphaned secrets are not distinguished. A text without the right format and checksum causes
     * no query.
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
     * Returns the principal of a chat widget's visitors from current rows, or null when it no longer works. There is no
     * secret: the caller has checked that the widget is open to the visitor. The visitor's address is not stored.
     */
    async actAs(tokenId: number): Promise<Principal | null> {
      const authenticatedAt = performance.now();
      const row = await findRow(db, findEmbedToken, tokenId);
      const now = new Date();
      if (!row || refusal(row, now)) return null;
      const nobody = { address: null, userAgent: null };
      used(row, nobody, now);
      return principalOf(row, nobody, authenticatedAt);
    },

    /** Returns the principal of a secret for introspection, which is neither a use nor a denied use of it. */
    async inspect(secret: string): Promise<Principal | null> {
      const found = await look(secret);
      return found && !found.reason
        ? principalOf(found.row, { address: null, userAgent: null }, performance.now())
        : null;
    },
  };
}

export type Authenticator = ReturnType<typeof createAuthenticator>;
