import { z } from 'zod';
import type { Client, Principal } from '../../authz/principal.ts';
import { parse } from '../../errors.ts';
import type { AuditEvent, Prisma } from '../../generated/prisma/client.ts';
import type { Log } from '../../log.ts';
import { cut, ListOrder, type PageArgs } from '../../paging.ts';
import type { Background } from '../../store/background.ts';
import type { Database } from '../../store/database.ts';
import { databaseId, plainText } from '../input.ts';
import { redactSecrets } from '../tokens/secret.ts';

/** The recorded actions, each with the time when it is recorded. */
export const auditActions = {
  'api_key.create': 'An API key was made.',
  'api_key.update': 'An API key was renamed, got another role, scopes or expiry, or was switched off or on.',
  'api_key.regenerate': 'An API key got a new secret.',
  'api_key.delete': 'An API key was deleted with its user.',
  'personal_access_token.create': 'A personal access token was made.',
  'personal_access_token.revoke': 'A personal access token was ended by its owner.',
  'credential.revoke': 'An administrator revoked a token or a login session of a user.',
  'user.register': 'A person made an account for themselves.',
  'user.create': 'An account was made for a person.',
  'user.update':
    'A person’s username, name, password, role, message limit or bio was set, or whether they can come in.',
  'user.activate': 'A person was let in again.',
  'user.deactivate': 'A person was shut out.',
  'user.delete': 'A person was deleted with everything that was theirs alone.',
  'user.change_role': 'A person got another role.',
  'user.change_password': 'A person set their own password.',
  'user.reset_password': 'A person was given a new password.',
  'multi_user_mode.enable': 'The first person was made, and the built-in owner’s sessions ended.',
  'invitation.create': 'Addresses were invited.',
  'invitation.delete': 'An invitation was taken back.',
  'invite_code.create': 'A code was made with which somebody can make an account.',
  'invite_code.claim': 'Somebody made an account with a code.',
  'invite_code.disable': 'A code was made useless.',
  'session.create': 'A person logged in.',
  'session.refresh': 'A login session got a new secret.',
  'session.end': 'A person logged out.',
  'session.refused': 'An attempt to log in failed.',
  'project.create': 'A project was made.',
  'project.update': 'A project’s name, description or instructions were changed.',
  'project.delete': 'A project was deleted with its tokens.',
  'document.ingest': 'A document was added or replaced.',
  'document.delete': 'A document was deleted.',
  'document.move': 'A document was put into another folder, or got another file name.',
  'document_folder.create': 'A folder of documents was made.',
  'document_folder.delete': 'A folder of documents was deleted with them.',
  'file.upload': 'A file was uploaded.',
  'file.delete': 'A file was deleted.',
  'file.link': 'A file was put into a project.',
  'file.unlink': 'A file was taken out of a project.',
  'embed.create': 'A chat widget was made.',
  'embed.update': 'A chat widget was changed, or switched off or on.',
  'embed.delete': 'A chat widget was deleted with the chats of its visitors.',
  'rate_limit.create': 'A limit on requests or model tokens was set.',
  'rate_limit.update': 'A limit was changed, or switched off or on.',
  'rate_limit.delete': 'A limit was lifted.',
  'query_history.export': 'Everybody’s chats were exported.',
  'preferences.update': 'Preferences of the server were changed.',
  'import.run': 'Things were brought over from another server.',
  'credential.refused': 'A known credential was presented that is expired, revoked, disabled or replaced.',
  'permission.refused': 'A credential was used for something that it lacks.',
} as const;

export type AuditAction = keyof typeof auditActions;

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

/** Returns the fields of an entry that come from the principal. */
export const by = (principal: Principal): Pick<AuditEntry, 'actor' | 'tokenId' | 'client'> => ({
  actor: { userId: principal.userId, name: principal.name },
  tokenId: principal.credential.tokenId,
  client: principal.client,
});

const Filter = z.object({
  actions: z
    .array(z.enum(Object.keys(auditActions) as [AuditAction, ...AuditAction[]]))
    .max(100)
    .nullish(),
  actorId: z.uuid().nullish(),
  tokenId: databaseId.nullish(),
  targetType: plainText(100).nullish(),
  targetId: plainText(500).nullish(),
  address: plainText(100).nullish(),
  since: z.date().nullish(),
  until: z.date().nullish(),
});
export type AuditFilter = z.input<typeof Filter>;

export const auditOrder = new ListOrder('auditEvents', [{ field: 'id', type: 'bigint', direction: 'desc' }]);

/** Throws BAD_USER_INPUT that names the field. */
function matching(filter: AuditFilter): Prisma.AuditEventWhereInput {
  const { actions, since, until, ...exact } = parse(Filter, filter, ['filter']);
  return {
    ...(actions && { action: { in: actions } }),
    ...Object.fromEntries(Object.entries(exact).filter(([, value]) => value != null)),
    ...((since || until) && { at: { ...(since && { gte: since }), ...(until && { lt: until }) } }),
  };
}

/** Number of events that an export reads at a time. */
const exportPage = 1000;

/** Number of events that are deleted in one batch. */
const forgetBatch = 1000;

/** A denial that repeats within this time is recorded once. Milliseconds. */
const refusalWindow = 60_000;

export function auditService(db: Database, background: Background, log: Log) {
  const refusals = new Map<string, number>();

  const service = {
    /** Records an event in the transaction that makes the change: neither is committed without the other. */
    record: (transaction: Prisma.TransactionClient, entry: AuditEntry) =>
      transaction.auditEvent.create({ data: row(entry), select: { id: true } }),

    async list(filter: AuditFilter, args: PageArgs, limit: number, query: object) {
      const page = auditOrder.page(args, limit);
      const rows = await db.prisma.auditEvent.findMany({
        ...query,
        ...page,
        where: { AND: [matching(filter), page.where] },
      });
      return cut(rows, page);
    },

    count: (filter: AuditFilter) => db.prisma.auditEvent.count({ where: matching(filter) }),

    /**
     * Yields the matching events, oldest first, with one page in memory at a time. Throws BAD_USER_INPUT before the
     * first.
     */
    export(filter: AuditFilter): AsyncGenerator<AuditEvent[], void, undefined> {
      const where = matching(filter);
      return (async function* () {
        for (let last = -1n; ; ) {
          const rows = await db.prisma.auditEvent.findMany({
            where: { AND: [where, { id: { gt: last } }] },
            orderBy: { id: 'asc' },
            take: exportPage,
          });
          if (rows.length > 0) yield rows;
          if (rows.length < exportPage) return;
          last = rows.at(-1)?.id ?? last;
        }
      })();
    },

    /** Deletes events older than this number of days, the only deletion that the database allows. */
    async forget(days: number): Promise<number> {
      let deleted = 0;
      for (let batch = forgetBatch; batch === forgetBatch; deleted += batch)
        [, batch] = await db.prisma.$transaction([
          db.prisma.$queryRaw`SELECT set_config('latchkey.audit_retention_days', ${String(days)}, true)`,
          db.prisma.$executeRaw`DELETE FROM "AuditEvent" WHERE "id" IN (
            SELECT "id" FROM "AuditEvent" WHERE "at" < now() - make_interval(days => ${days}::int) LIMIT ${forgetBatch}::int)`,
        ]);
      if (deleted > 0) log.info({ deleted, days }, 'audit events past their retention were deleted');
      return deleted;
    },

    /**
     * Records a denied use in the background. The same denial of the same token is recorded once a minute, so that a
     * loop of denied requests cannot fill the database.
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

    /** Records that a credential lacks the permission for `operation`. */
    permissionRefused(principal: Principal, operation: string): void {
      service.refused({ ...by(principal), action: 'permission.refused', detail: { operation } });
    },
  };
  return service;
}

export type AuditService = ReturnType<typeof auditService>;
