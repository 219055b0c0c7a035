import type { Client, Principal } from '../../authz/principal.ts';
import type { Prisma } from '../../generated/prisma/client.ts';
import type { Log } from '../../log.ts';
import type { Background } from '../../store/background.ts';
import type { Database } from '../../store/database.ts';
import { redactSecrets } from '../tokens/secret.ts';

export type AuditAction =
  | 'api_key.create'
  | 'api_key.update'
  | 'api_key.regenerate'
  | 'api_key.delete'
  | 'personal_access_token.create'
  | 'personal_access_token.revoke'
  | 'document.ingest'
  | 'document.delete'
  | 'credential.refused'
  | 'permission.refused';

export interface AuditEntry {
  action: AuditAction;
  actor: { userId: string; name: string } | null;
  tokenId: number | null;
  client: Client;
  target?: { type: string; id: string | number };
  detail?: Prisma.InputJsonObject;
}

const row = ({ action, actor, tokenId, client, target, detail }: AuditEntry): Prisma.AuditEventCreateInput => ({
  action,
  actorId: actor?.userId ?? null,
  actorName: actor?.name ?? null,
  tokenId,
  address: client.address,
  userAgent: client.userAgent === null ? null : redactSecrets(client.userAgent).slice(0, 500),
  targetType: target?.type ?? null,
  targetId: target === undefined ? null : String(target.id),
  detail: detail ?? {},
});

/** The fields of an entry that the caller's principal gives. */
export const by = (principal: Principal): Pick<AuditEntry, 'actor' | 'tokenId' | 'client'> => ({
  actor: { userId: principal.userId, name: principal.name },
  tokenId: principal.credential.tokenId,
  client: principal.client,
});

/** A refusal that repeats within this time is written once. Milliseconds. */
const refusalWindow = 60_000;

export function auditService(db: Database, background: Background, log: Log) {
  const refusals = new Map<string, number>();

  const service = {
    /** Writes an event as part of the transaction that makes the change: neither stands without the other. */
    record: (transaction: Prisma.TransactionClient, entry: AuditEntry) =>
      transaction.auditEvent.create({ data: row(entry), select: { id: true } }),

    /**
     * Writes a refused use, off the request's path. The same token refused for the same reason is written once a
     * minute, so that a loop of refusals cannot fill the database.
     */
    refused(entry: AuditEntry & { action: 'credential.refused' | 'permission.refused' }): void {
      const key = JSON.stringify([entry.tokenId, entry.action, entry.detail]);
      const now = Date.now();
      if ((refusals.get(key) ?? 0) > now - refusalWindow) return;
      if (refusals.size > 10_000) refusals.clear();
      refusals.set(key, now);
      background.run('audit', async () => {
        await db.prisma.auditEvent.create({ data: row(entry), select: { id: true } });
      });
      log.info({ action: entry.action, tokenId: entry.tokenId, address: entry.client.address }, 'refused');
    },

    /** Writes that a credential was used for something it lacks: `operation` names what. */
    permissionRefused(principal: Principal, operation: string): void {
      service.refused({ ...by(principal), action: 'permission.refused', detail: { operation } });
    },
  };
  return service;
}

export type AuditService = ReturnType<typeof auditService>;
