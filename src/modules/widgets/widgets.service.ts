import { randomBytes, randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Principal } from '../../authz/principal.ts';
import { notFound, parse } from '../../errors.ts';
import type { ChatMessage, Embed, Prisma } from '../../generated/prisma/client.ts';
import { cut, ListOrders, type ListRequest, type PageOf } from '../../paging.ts';
import type { Settings } from '../../settings.ts';
import type { Database, Statement } from '../../store/database.ts';
import type { Revocations } from '../../store/shared/revocations.ts';
import { cutText } from '../../unicode.ts';
import { plainText } from '../../zod-types.ts';
import { type AgentKey, usableAgent } from '../agents/by-slug.ts';
import { type AuditService, by } from '../audit/audit.service.ts';
import { changesOf, clearList } from '../changes.ts';
import { answers } from '../chat/answer.ts';
import { serviceAccountEmail } from '../tokens/api-keys.ts';
import type { UsersService } from '../users/users.service.ts';
import { origins } from './origins.ts';
import { sessionKey } from './visitor-chats.ts';

const atLeastOne = z.number().int().min(1).max(0x7fff_ffff).nullish();

const given = {
  chatMode: z.enum(['AUTOMATIC', 'CHAT', 'QUERY']).nullish(),
  allowedOrigins: origins.nullish(),
  allowModel: z.boolean().nullish(),
  allowTemperature: z.boolean().nullish(),
  allowPrompt: z.boolean().nullish(),
  maxChatsPerDay: atLeastOne,
  maxChatsPerSession: atLeastOne,
  messageLimit: z.number().int().min(1).max(1000, 'must be at most 1000').nullish(),
};
const CreateEmbed = z.object(given);
const UpdateEmbed = z.object({
  enabled: z.boolean().nullish(),
  ...given,
  clear: clearList(['maxChatsPerDay', 'maxChatsPerSession', 'messageLimit']),
});

export type CreateEmbedInput = z.input<typeof CreateEmbed> & { agent: AgentKey };
export type UpdateEmbedInput = z.input<typeof UpdateEmbed> & { agent: AgentKey | null };

/** A widget by its integer ID or by its UUID. */
export type EmbedKey = { id: number } | { uuid: string };

export interface EmbedFilter {
  agentId?: number | null;
  enabled?: boolean | null | undefined;
}

export interface ExchangeFilter {
  embed?: EmbedKey | null;
  /** The UUID of a visitor's chat. */
  clientSessionId?: string | null | undefined;
}

const byId = [{ field: 'id', type: 'int', direction: 'asc' }] as const;
export const embedOrders = new ListOrders('embeds', { CREATED_AT: byId }, { field: 'CREATED_AT', direction: 'ASC' });
export const exchangeOrders = new ListOrders(
  'embedChats',
  { ANSWERED_AT: byId },
  { field: 'ANSWERED_AT', direction: 'ASC' },
);

/** The permissions of a visitor: send a message and receive its answer. */
const visitorScopes = ['write:chat', 'read:agents'];

/** Counts the questions of each widget in existing chats. */
const chatCounts: Statement = {
  name: 'count_embed_chats',
  text: `SELECT e."id", count(m."id")::int AS "chats" FROM "Embed" e
    LEFT JOIN "ChatSession" s ON s."userId" = e."userId" AND s."deletedAt" IS NULL
    LEFT JOIN "ChatMessage" m ON m."sessionId" = s."id" AND m."role" = 'USER'
    WHERE e."id" = ANY ($1::int[]) GROUP BY e."id"`,
};

const slug = plainText(500);

/** Returns the agent that an input names, if the principal can chat with it. Throws BAD_USER_INPUT, NOT_FOUND. */
function agentNamed(db: Prisma.TransactionClient, principal: Principal, key: AgentKey) {
  if (typeof key === 'string') parse(slug, key, ['input', 'agent', 'slug']);
  return usableAgent(db, principal, key);
}

/** Returns a UUID in lower case, or null for any other text. */
export const uuidOf = (text: string): string | null => z.uuid().safeParse(text).data?.toLowerCase() ?? null;

const accountName = (agentName: string): string => cutText(`Embed of ${agentName}`, 100);

const summary = ({ id, userId, createdById, createdAt, updatedAt, ...rest }: Embed): Prisma.InputJsonObject => rest;

interface EmbedsServiceDeps {
  db: Database;
  audit: AuditService;
  users: UsersService;
  revocations: Revocations;
  settings: Pick<Settings, 'widgetOrigins'>;
}

/**
 * Creates the service for chat widgets, which open one agent to the visitors of a web page. Each widget acts as a
 * separate limited service account, with a token that no client has.
 */
export function createEmbedsService({ db, audit, users, revocations, settings }: EmbedsServiceDeps) {
  const isForEveryPage = ({ allowedOrigins }: Embed): boolean =>
    allowedOrigins.length === 0 && settings.widgetOrigins === 'allow';

  /** Returns whether, after a change, a widget can no longer be shown on a page that could show it before. */
  const narrows = (before: Embed, after: Embed): boolean =>
    !isForEveryPage(after) &&
    (isForEveryPage(before) || before.allowedOrigins.some((origin) => !after.allowedOrigins.includes(origin)));

  const counting = new WeakMap<Principal, { ids: number[]; counts: Promise<Map<number, number>> }>();

  /** Returns the widget, locked against other changes. Throws NOT_FOUND. */
  async function hold(transaction: Prisma.TransactionClient, key: EmbedKey): Promise<Embed> {
    const found = await transaction.embed.findUnique({ where: key });
    if (!found) throw notFound('EMBED_NOT_FOUND');
    await transaction.$queryRaw`SELECT 1 FROM "Embed" WHERE "id" = ${found.id} FOR UPDATE`;
    const embed = await transaction.embed.findUnique({ where: { id: found.id } });
    if (!embed) throw notFound('EMBED_NOT_FOUND');
    return embed;
  }

  const recorded = (
    transaction: Prisma.TransactionClient,
    principal: Principal,
    change: 'create' | 'update' | 'delete',
    embed: Embed,
  ) =>
    audit.record(transaction, {
      ...by(principal),
      action: `embed.${change}`,
      target: { type: 'Embed', id: embed.uuid },
      detail: summary(embed),
    });

  /** Shares the agent with the widget's account, and removes the previous one. */
  async function moveTo(transaction: Prisma.TransactionClient, userId: string, agent: { id: number; name: string }) {
    await transaction.agentShare.deleteMany({ where: { userId } });
    await transaction.agentShare.create({ data: { userId, agentId: agent.id } });
    const name = accountName(agent.name);
    await transaction.user.update({ where: { id: userId }, data: { name, email: serviceAccountEmail(name, userId) } });
  }

  return {
    async list(filter: EmbedFilter, { order, args, limit, query }: ListRequest) {
      const { where, ...page } = order.page(args, limit);
      const rows = await db.prisma.embed.findMany({ ...query, ...page, where: { AND: [matching(filter), where] } });
      return cut(rows, { where, ...page });
    },

    count: (filter: EmbedFilter) => db.prisma.embed.count({ where: matching(filter) }),

    /** Throws NOT_FOUND. */
    async find(key: EmbedKey, query: object = {}): Promise<Embed> {
      const embed = await db.prisma.embed.findUnique({ ...query, where: key });
      if (!embed) throw notFound('EMBED_NOT_FOUND');
      return embed;
    },

    /** Returns the number of questions of a widget, with one statement for all widgets of a request. */
    async chatCount(principal: Principal, id: number): Promise<number> {
      let batch = counting.get(principal);
      if (!batch) {
        const ids: number[] = [];
        const counts = new Promise((resolve) => setImmediate(resolve)).then(async () => {
          counting.delete(principal);
          const rows = await db.query<{ id: number; chats: number }>(chatCounts, [ids]);
          return new Map(rows.map((row) => [row.id, row.chats]));
        });
        batch = { ids, counts };
        counting.set(principal, batch);
      }
      batch.ids.push(id);
      return (await batch.counts).get(id) ?? 0;
    },

    /**
     * Creates a widget with the account and token that its visitors act with, and shares the agent with the account.
     * Throws BAD_USER_INPUT, and NOT_FOUND for an agent that the principal cannot chat with.
     */
    create(principal: Principal, { agent: key, ...input }: CreateEmbedInput): Promise<Embed> {
      const data = changesOf(parse(CreateEmbed, input));
      return db.prisma.$transaction(async (transaction) => {
        const agent = await agentNamed(transaction, principal, key);
        const userId = randomUUID();
        const name = accountName(agent.name);
        await transaction.user.create({
          data: {
            id: userId,
            name,
            email: serviceAccountEmail(name, userId),
            role: 'LIMITED',
            accountType: 'SERVICE_ACCOUNT',
            agentShares: { create: { agentId: agent.id } },
            tokens: {
              create: {
                kind: 'EMBED',
                name,
                // Random bytes, which are the hash of no secret: no credential matches this token.
                hash: Uint8Array.from(randomBytes(32)),
                display: 'embed',
                scopes: visitorScopes,
                creatorId: principal.userId,
              },
            },
          },
        });
        const embed = await transaction.embed.create({
          data: { ...data, agentId: agent.id, userId, createdById: principal.userId },
        });
        await recorded(transaction, principal, 'create', embed);
        return embed;
      });
    },

    /**
     * Changes the given fields, effective from the next request; null or absent fields are left unchanged. Ends the
     * open streams of visitors when the widget is turned off, is moved to another agent or is no longer allowed on a
     * page. Throws BAD_USER_INPUT, NOT_FOUND.
     */
    async update(principal: Principal, key: EmbedKey, { agent: agentKey, ...input }: UpdateEmbedInput): Promise<Embed> {
      const data = changesOf(parse(UpdateEmbed, input));
      const { before, after } = await db.prisma.$transaction(async (transaction) => {
        const before = await hold(transaction, key);
        const agent = agentKey === null ? null : await agentNamed(transaction, principal, agentKey);
        const { userId } = before;
        if (agent && agent.id !== before.agentId) await moveTo(transaction, userId, agent);
        if (data.enabled !== undefined)
          await transaction.token.updateMany({
            where: { userId },
            data: { disabledAt: data.enabled ? null : new Date() },
          });
        const after = await transaction.embed.update({
          where: { id: before.id },
          data: { ...data, ...(agent && { agentId: agent.id }) },
        });
        await recorded(transaction, principal, 'update', after);
        return { before, after };
      });
      if (!after.enabled || after.agentId !== before.agentId || narrows(before, after))
        await revocations.endUser(after.userId);
      return after;
    },

    /**
     * Deletes a widget with its account and the chats of its visitors, and ends their open streams. Throws NOT_FOUND.
     */
    async delete(principal: Principal, key: EmbedKey): Promise<{ id: number }> {
      const embed = await db.prisma.$transaction(async (transaction) => {
        const embed = await hold(transaction, key);
        await recorded(transaction, principal, 'delete', embed);
        await users.erase(transaction, embed.userId);
        return embed;
      });
      await revocations.endUser(embed.userId);
      return { id: embed.id };
    },

    /**
     * Returns a page of the questions and answers of visitors, oldest first by default. Empty for an unknown widget or
     * chat.
     */
    async chats(filter: ExchangeFilter, { order, args, limit, query }: ListRequest): Promise<PageOf<ChatMessage>> {
      const { where, ...page } = order.page(args, limit);
      const rows = await db.prisma.chatMessage.findMany({
        ...query,
        ...page,
        where: { AND: [exchanges(filter), where] },
      });
      return cut(rows, { where, ...page });
    },

    countChats: (filter: ExchangeFilter) => db.prisma.chatMessage.count({ where: exchanges(filter) }),
  };
}

const matching = ({ agentId, enabled }: EmbedFilter): Prisma.EmbedWhereInput => ({
  ...(agentId != null && { agentId }),
  ...(enabled != null && { enabled }),
});

/** Selects the answers of all widgets, or those of one widget or of one visitor's chat. */
export function exchanges({ embed, clientSessionId }: ExchangeFilter): Prisma.ChatMessageWhereInput {
  const key = clientSessionId == null ? undefined : sessionKey(clientSessionId);
  if (key === null) return { id: { in: [] } };
  return {
    ...answers,
    session: {
      deletedAt: null,
      user: { embed: embed ?? { isNot: null } },
      ...(key !== undefined && { clientKey: key }),
    },
  };
}
