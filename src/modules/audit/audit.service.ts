import { z } from 'zod';
import type { Client, Principal } from '../../authz/principal.ts';
import { redactSecrets } from '../../authz/secret.ts';
import { parse } from '../../errors.ts';
import type { AuditEvent, Prisma } from '../../generated/prisma/client.ts';
import type { Log } from '../../log.ts';
import { cut, ListOrders, type ListRequest } from '../../paging.ts';
import { type Job, retentionJobs } from '../../scheduler.ts';
import type { Settings } from '../../settings.ts';
import type { Background } from '../../store/background.ts';
import type { Database } from '../../store/database.ts';
import { databaseId, plainText } from '../../zod-types.ts';

/** The recorded actions, each with the time when it is recorded. */
export const auditActions = {
  'api_key.create': 'An API key or project token was created.',
  'api_key.update': 'The name, role, scopes or expiry of a key was changed, or it was disabled or enabled.',
  'api_key.regenerate': 'A key received a new secret.',
  'api_key.delete': 'A key was deleted with its service account.',
  'personal_access_token.create': 'A personal access token was created.',
  'personal_access_token.revoke': 'A personal access token was revoked by its owner.',
  'credential.revoke': 'An administrator revoked a token or a login session of a user.',
  'user.register': 'A person created their own account.',
  'user.create': 'An administrator created an account for a person.',
  'user.update': 'The username, name, password, role, message limit, bio or state of a person was changed.',
  'user.activate': 'A person was activated.',
  'user.deactivate': 'A person was deactivated.',
  'user.delete': 'A person was deleted with everything that belonged to that person alone.',
  'user.change_role': 'The role of a person was changed.',
  'user.change_password': 'A person changed their own password.',
  'user.reset_password': 'An administrator reset the password of a person.',
  'multi_user_mode.enable': 'The first person was created, which ended the sessions of the built-in owner.',
  'invitation.create': 'E-mail addresses were invited.',
  'invitation.delete': 'An invitation was withdrawn.',
  'invite_code.create': 'An invite code was created.',
  'invite_code.claim': 'A person created an account with an invite code.',
  'invite_code.disable': 'An invite code was disabled.',
  'session.create': 'A person logged in.',
  'session.refresh': 'A login session received a new secret.',
  'session.end': 'A person logged out.',
  'session.refused': 'A login attempt failed.',
  'project.create': 'A project was created.',
  'project.update': 'The name, description or instructions of a project were changed.',
  'project.delete': 'A project and its tokens were deleted.',
  'document.ingest': 'A document was added or replaced.',
  'document.delete': 'A document was deleted.',
  'document.move': 'A document was moved to another folder or renamed.',
  'document_folder.create': 'A document folder was created.',
  'document_folder.delete': 'A document folder was deleted with its documents.',
  'file.upload': 'A file was uploaded.',
  'file.delete': 'A file was deleted.',
  'file.link': 'A file was added to a project.',
  'file.unlink': 'A file was removed from a project.',
  'embed.create': 'A chat widget was created.',
  'embed.update': 'A chat widget was changed, disabled or enabled.',
  'embed.delete': 'A chat widget and the chats of its visitors were deleted.',
  'rate_limit.create': 'A limit on requests or model tokens was created.',
  'rate_limit.update': 'A limit was changed, disabled or enabled.',
  'rate_limit.delete': 'A limit was deleted.',
  'query_history.export': 'The chats of all users were exported.',
  'preferences.update': 'Server preferences were changed.',
  'import.run': 'Data was imported from another server.',
  'credential.refused': 'A known credential was used that is expired, revoked, disabled or replaced.',
  'permission.refused': 'A credential was used for an operation whose permission it lacks.',
} as const;

export type AuditAction = keyof typeof auditActions;

export const isAuditAction = (action: string): action is AuditAction => Object.hasOwn(auditActions, action);

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

export const auditOrders = new ListOrders(
  'auditEvents',
  {
    AT: [
      { field: 'at', type: 'date', direction: 'asc' },
      { field: 'id', type: 'bigint', direction: 'asc' },
    ],
  },
  { field: 'AT', direction: 'DESC' },
);

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

export function createAuditService(db: Database, background: Background, log: Log) {
  const refusals = new Map<string, number>();

  const service = {
    /** Records an event in the transaction that makes the change: neither is committed without the other. */
    record: (transaction: Prisma.TransactionClient, entry: AuditEntry) =>
      transaction.auditEvent.create({ data: row(entry), select: { id: true } }),

    async list(filter: AuditFilter, { order, args, limit, query }: ListRequest) {
      const page = order.page(args, limit);
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

    /** Returns the job that deletes events past their retention period. */
    jobs: ({ auditRetentionDays }: Pick<Settings, 'auditRetentionDays'>): readonly Job[] =>
      retentionJobs('audit-retention', auditRetentionDays, service.forget),

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

export type AuditService = ReturnType<typeof createAuditService>;
