import { z } from 'zod';
import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { forbidden, notFound, parse } from '../../errors.ts';
import type { ChatMessage, ChatSession, Prisma } from '../../generated/prisma/client.ts';
import { cut, ListOrder, type PageArgs } from '../../paging.ts';
import type { Database, Statement } from '../../store/database.ts';
import { databaseId, plainText } from '../input.ts';
import { storableDate } from '../knowledge/retrieval.ts';
import type { Runs } from './runs.ts';
import { createSession } from './tree.ts';

const CreateChatSession = z.object({
  agentId: databaseId.default(0),
  name: plainText(500).nullish(),
});
const UpdateChatSession = z.object({
  name: plainText(500).nullish(),
  sharing: z.enum(['PRIVATE', 'PUBLIC']).nullish(),
});

export type CreateChatSessionInput = z.input<typeof CreateChatSession>;
export type UpdateChatSessionInput = z.input<typeof UpdateChatSession>;

export const chatSessionOrder = new ListOrder('chatSessions', [
  { field: 'updatedAt', type: 'date', direction: 'desc' },
  { field: 'id', type: 'uuid', direction: 'desc' },
]);
export const chatMessageOrder = new ListOrder('chatMessages', [{ field: 'id', type: 'int', direction: 'asc' }]);

/** A session that nothing was ever said in counts as failed when it is older than this. Milliseconds. */
const failedAfter = 5 * 60_000;
/** The longest name that is made from a first message, in characters. */
const generatedName = 60;

/**
 * Sessions whose name, or one of whose messages, holds all words: as PostgreSQL cuts them, for which `main.ts` is one
 * word, or with the last one as the beginning of a word.
 */
const findSessions: Statement = {
  name: 'find_sessions',
  text: `WITH q AS (SELECT plainto_tsquery('simple', $2) || to_tsquery('simple', $3) AS query)
    SELECT s."id" FROM "ChatSession" s CROSS JOIN q
    WHERE s."userId" = $1::uuid AND s."deletedAt" IS NULL
      AND (to_tsvector('simple', coalesce(s."name", '')) @@ q.query
        OR EXISTS (SELECT 1 FROM "ChatMessage" m WHERE m."sessionId" = s."id" AND m."search" @@ q.query))
    ORDER BY s."updatedAt" DESC, s."id" DESC LIMIT $4 OFFSET $5`,
};

/** A search as PostgreSQL can hold it. */
const searchable = (query: string): string => query.slice(0, 1000).toWellFormed().replaceAll('\0', ' ');

/** Words of a search as a tsquery that cannot be malformed: letters and digits alone, the last one as a prefix. */
function toTsQuery(query: string): string {
  const words = query.toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
  return words
    .slice(0, 32)
    .map((word, index) => (index === words.length - 1 ? `${word}:*` : word))
    .join(' & ');
}

export function chatService(db: Database, runs: Runs) {
  async function own(transaction: Prisma.TransactionClient, principal: Principal, id: string): Promise<ChatSession> {
    const session = await transaction.chatSession.findFirst({ where: { ...visible.chatSessions(principal), id } });
    if (!session) throw notFound('Chat session');
    return session;
  }

  async function withReadable(principal: Principal, messages: ChatMessage[]): Promise<ChatMessage[]> {
    const ids = messages.flatMap(({ passages, citations }) =>
      [...cited(passages), ...cited(citations)].map((one) => one.documentId),
    );
    const readable = await db.prisma.document.findMany({
      where: { AND: [visible.documents(principal), { externalId: { in: [...new Set(ids)] } }] },
      select: { externalId: true },
    });
    const open = new Set(readable.map(({ externalId }) => externalId));
    const only = (references: Prisma.JsonValue) => cited(references).filter(({ documentId }) => open.has(documentId));
    return messages.map((message) => ({
      ...message,
      passages: only(message.passages),
      citations: only(message.citations),
    }));
  }

  const listed = (
    principal: Principal,
    { includeFailed, agentId, before }: SessionFilter,
  ): Prisma.ChatSessionWhereInput => ({
    AND: [
      visible.chatSessions(principal),
      agentId == null ? {} : { agentId },
      before == null ? {} : { updatedAt: { lt: parse(storableDate, before, ['before']) } },
      includeFailed
        ? {}
        : {
            OR: [
              { messages: { some: { role: { not: 'SYSTEM' } } } },
              { createdAt: { gt: new Date(Date.now() - failedAfter) } },
            ],
          },
    ],
  });

  return {
    /** Throws NOT_FOUND for an agent that the caller cannot see. */
    async create(principal: Principal, input: CreateChatSessionInput): Promise<ChatSession> {
      const { agentId, name } = parse(CreateChatSession, input);
      return db.prisma.$transaction(async (transaction) => {
        const where = { AND: [visible.agents(principal), { id: agentId, deletedAt: null }] };
        if ((await transaction.agent.count({ where })) === 0) throw notFound('Agent');
        return createSession(transaction, principal.userId, agentId, name ?? null);
      });
    },

    /**
     * One session. `shared` reads somebody's public one instead of one's own; `includeDeleted` one's own deleted ones
     * as well. Throws NOT_FOUND, and FORBIDDEN to the owner who asks for a private one as shared.
     */
    async find(
      principal: Principal,
      id: string,
      {
        shared,
        includeDeleted,
      }: { shared?: boolean | null | undefined; includeDeleted?: boolean | null | undefined } = {},
      query: object = {},
    ): Promise<ChatSession> {
      const mine: Prisma.ChatSessionWhereInput = {
        userId: principal.userId,
        ...(includeDeleted ? {} : { deletedAt: null }),
      };
      const rule = shared ? { OR: [{ sharing: 'PUBLIC', deletedAt: null } as const, mine] } : mine;
      const session = await db.prisma.chatSession.findFirst({ ...query, where: { AND: [rule, { id }] } });
      if (!session) throw notFound('Chat session');
      if (shared && session.sharing !== 'PUBLIC') throw forbidden([], 'Chat session is not shared');
      return session;
    },

    async list(principal: Principal, filter: SessionFilter, args: PageArgs, limit: number, query: object) {
      const page = chatSessionOrder.page(args, limit);
      const rows = await db.prisma.chatSession.findMany({
        ...query,
        ...page,
        where: { AND: [listed(principal, filter), page.where] },
      });
      return cut(rows, page);
    },

    count: (principal: Principal, filter: SessionFilter) =>
      db.prisma.chatSession.count({ where: listed(principal, filter) }),

    /** One's own sessions that hold all the words, most recently used first; all of them for an empty query. */
    async search(
      principal: Principal,
      query: string,
      page: { limit: number; offset: number },
      select: object,
    ): Promise<{ rows: ChatSession[]; hasNext: boolean }> {
      const text = searchable(query);
      const words = toTsQuery(text);
      if (words === '') {
        const rows = await db.prisma.chatSession.findMany({
          ...select,
          where: visible.chatSessions(principal),
          orderBy: [{ updatedAt: 'desc' }, { id: 'desc' }],
          take: page.limit + 1,
          skip: page.offset,
        });
        return { rows: rows.slice(0, page.limit), hasNext: rows.length > page.limit };
      }
      const found = await db.query<{ id: string }>(findSessions, [
        principal.userId,
        text,
        words,
        page.limit + 1,
        page.offset,
      ]);
      const ids = found.slice(0, page.limit).map(({ id }) => id);
      const rows = await db.prisma.chatSession.findMany({
        ...select,
        where: { AND: [visible.chatSessions(principal), { id: { in: ids } }] },
      });
      const byId = new Map(rows.map((row) => [row.id, row]));
      return { rows: ids.flatMap((id) => byId.get(id) ?? []), hasNext: found.length > page.limit };
    },

    /** Renames (a null name is made from the first message), shares or unshares. Throws NOT_FOUND. */
    async update(principal: Principal, id: string, input: UpdateChatSessionInput): Promise<ChatSession> {
      const { name, sharing } = parse(UpdateChatSession, input);
      return db.prisma.$transaction(async (transaction) => {
        await own(transaction, principal, id);
        return transaction.chatSession.update({
          where: { id },
          data: {
            ...(name !== undefined && { name: name ?? (await nameFromMessages(transaction, id)) }),
            ...(sharing != null && { sharing }),
          },
        });
      });
    },

    /** Hides a session; `hard` erases it with its messages. A running answer is stopped. Throws NOT_FOUND. */
    async delete(principal: Principal, id: string, { hard = false }: { hard?: boolean } = {}): Promise<void> {
      await db.prisma.$transaction(async (transaction) => {
        await own(transaction, principal, id);
        if (hard) await transaction.chatSession.delete({ where: { id } });
        else await transaction.chatSession.update({ where: { id }, data: { deletedAt: new Date() } });
      });
      runs.ofSession(id)?.stop();
    },

    /** Hides all of one's own sessions and returns how many. */
    async deleteAll(principal: Principal): Promise<number> {
      const { count } = await db.prisma.chatSession.updateMany({
        where: visible.chatSessions(principal),
        data: { deletedAt: new Date() },
      });
      for (const run of runs.ofUser(principal.userId)) run.stop();
      return count;
    },

    /** A session's messages as the principal may read them: of another's, without the documents that are not theirs. */
    readable: async (principal: Principal, session: Pick<ChatSession, 'userId'>, messages: ChatMessage[]) =>
      session.userId === principal.userId ? messages : withReadable(principal, messages),
  };
}

/** What a message keeps as JSON of the documents it was given and those it cites. */
const cited = (references: Prisma.JsonValue) => references as { documentId: string }[];

export interface SessionFilter {
  agentId?: number | null | undefined;
  before?: Date | null | undefined;
  /** Also those in which nothing was ever said. */
  includeFailed?: boolean | null | undefined;
}

async function nameFromMessages(transaction: Prisma.TransactionClient, sessionId: string): Promise<string> {
  const first = await transaction.chatMessage.findFirst({
    where: { sessionId, role: 'USER' },
    orderBy: { id: 'asc' },
    select: { text: true },
  });
  const line = first?.text.trim().split('\n')[0] ?? '';
  return line.length > generatedName
    ? `${[...line]
        .slice(0, generatedName - 1)
        .join('')
        .trimEnd()}…`
    : line || 'New chat';
}

export type ChatService = ReturnType<typeof chatService>;
