import { z } from 'zod';
import { can, demand, type Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, forbidden, notFound, parse } from '../../errors.ts';
import type { ChatSession, Prisma } from '../../generated/prisma/client.ts';
import type { Log } from '../../log.ts';
import type { ChatModels } from '../../models/providers.ts';
import { cut, ListOrder, type PageArgs } from '../../paging.ts';
import type { Database, Statement } from '../../store/database.ts';
import { cutText, shortened } from '../../unicode.ts';
import { changesOf, clearList } from '../changes.ts';
import { databaseId, plainText } from '../input.ts';
import type { KnowledgeService } from '../knowledge/knowledge.service.ts';
import { storableDate } from '../knowledge/retrieval.ts';
import { projectToFill } from '../projects/projects.service.ts';
import { documentSizes } from './document-sizes.ts';
import { NewSession, startSession } from './new-session.ts';
import { chosenModel, modelOverrides } from './overrides.ts';
import { ChatReference, type ChatReferenceInput, findChat, oneSession } from './reference.ts';
import { messageReferences } from './references.ts';
import type { Runs } from './runs.ts';

const UpdateChatSession = z.object({
  name: plainText(500).nullish(),
  generateName: z.boolean().nullish(),
  sharing: z.enum(['PRIVATE', 'PUBLIC']).nullish(),
  ...modelOverrides,
  clear: clearList(['model', 'temperature', 'reasoningEffort']),
});
const MoveChatSession = z.object({ projectId: databaseId.nullish(), clear: clearList(['projectId']) });

export type CreateChatSessionInput = z.input<typeof NewSession>;
export type UpdateChatSessionInput = z.input<typeof UpdateChatSession>;
export type MoveChatSessionInput = z.input<typeof MoveChatSession>;

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
 *
 * The rule of who may read what is `visible.chatSessions` in SQL; a test holds the two together.
 */
const findSessions: Statement = {
  name: 'find_sessions',
  text: `WITH q AS (SELECT plainto_tsquery('simple', $2) || to_tsquery('simple', $3) AS query),
    readable AS (
      SELECT "id" FROM "ChatSession" WHERE "userId" = $1::uuid AND ($6::int IS NULL OR "projectId" = $6::int)
      UNION
      SELECT s."id" FROM "Project" p JOIN "ChatSession" s ON s."projectId" = p."id"
      WHERE $7::boolean AND (p."id" = $6::int OR ($6::int IS NULL AND p."ownerId" = $1::uuid)))
    SELECT s."id" FROM readable JOIN "ChatSession" s ON s."id" = readable."id" CROSS JOIN q
    WHERE s."deletedAt" IS NULL
      AND (to_tsvector('simple', coalesce(s."name", '')) @@ q.query
        OR EXISTS (SELECT 1 FROM "ChatMessage" m WHERE m."sessionId" = s."id" AND m."search" @@ q.query))
    ORDER BY s."updatedAt" DESC, s."id" DESC LIMIT $4 OFFSET $5`,
};

/** A search as PostgreSQL can hold it. */
const searchable = (query: string): string => cutText(query.toWellFormed(), 1000).replaceAll('\0', ' ');

/** Words of a search as a tsquery that cannot be malformed: letters and digits alone, the last one as a prefix. */
function toTsQuery(query: string): string {
  const words = query.toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
  return words
    .slice(0, 32)
    .map((word, index) => (index === words.length - 1 ? `${word}:*` : word))
    .join(' & ');
}

/** What a session is that was deleted: its names are free for others. */
const hidden = () => ({ deletedAt: new Date(), slug: null, clientKey: null });

/** Sessions that are forgotten in one statement. */
const forgetBatch = 200;

/** What a chat service stands on. */
interface Foundation {
  db: Database;
  knowledge: KnowledgeService;
  runs: Runs;
  models: ChatModels;
  log: Log;
}

export function chatService({ db, knowledge, runs, models, log }: Foundation) {
  async function own(transaction: Prisma.TransactionClient, principal: Principal, id: string): Promise<ChatSession> {
    const where = { AND: [visible.ownChatSessions(principal), { id }] };
    const session = await transaction.chatSession.findFirst({ where });
    if (!session) throw notFound('Chat session');
    return session;
  }

  /** One's own, all of a project's where one is asked for; for a token that is confined to a project, all of that one's. */
  const chosen = ({ userId, credential }: Principal, { projectId, outsideProjects }: SessionFilter) => {
    if (projectId != null) return { projectId };
    if (credential.projectId !== null) return {};
    return outsideProjects ? { userId, projectId: null } : { userId };
  };

  const listed = (principal: Principal, filter: SessionFilter): Prisma.ChatSessionWhereInput => {
    const { includeFailed, agentId, before } = filter;
    return {
      AND: [
        visible.chatSessions(principal),
        chosen(principal, filter),
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
    };
  };

  return {
    /** See {@link startSession}. */
    async create(principal: Principal, input: CreateChatSessionInput): Promise<ChatSession> {
      const session = parse(NewSession, input);
      return db.prisma.$transaction(
        async (transaction) => (await startSession(transaction, principal, models, session)).session,
      );
    },

    /**
     * One session. `shared` reads somebody's public one as well; `includeDeleted` one's own deleted ones. A token that is
     * confined to a project reads nothing outside of it. Throws NOT_FOUND, and FORBIDDEN to those who may read a private
     * one and ask for it as shared.
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
      const { userId, credential } = principal;
      const within = credential.projectId === null ? {} : { projectId: credential.projectId };
      const rule: Prisma.ChatSessionWhereInput = {
        OR: [
          visible.chatSessions(principal),
          ...(includeDeleted ? [{ ...within, userId }] : []),
          ...(shared ? [{ ...within, sharing: 'PUBLIC' as const, deletedAt: null }] : []),
        ],
      };
      const session = await db.prisma.chatSession.findFirst({ ...query, where: { AND: [rule, { id }] } });
      if (!session) throw notFound('Chat session');
      if (shared && session.sharing !== 'PUBLIC') throw forbidden([], 'Chat session is not shared');
      return session;
    },

    /**
     * The session of a reference that the principal may read; null for one of their own in which nothing was said yet.
     * Throws NOT_FOUND for an agent that they cannot use, and for a thread that is not there.
     */
    async findByName(principal: Principal, reference: ChatReferenceInput, query: object = {}) {
      const { session } = await findChat(db.prisma, principal, parse(ChatReference, reference, []));
      return session && db.prisma.chatSession.findUnique({ ...query, where: { id: session.id } });
    },

    /**
     * The id of the session that an input is about: as it says, or the one of a reference that the principal may write
     * to. Throws BAD_USER_INPUT unless it is exactly one, NOT_FOUND.
     */
    async identify(
      principal: Principal,
      which: { sessionId?: string | null | undefined; chat?: ChatReferenceInput | null | undefined },
    ): Promise<string> {
      oneSession(which);
      if (which.sessionId != null) return which.sessionId;
      const { session } = await findChat(db.prisma, principal, parse(ChatReference, which.chat, ['input', 'chat']));
      if (!session) throw notFound('Chat session');
      return session.id;
    },

    /**
     * Starts a chat over: nothing of it is on the current branch, and nothing goes. An answer under way is given to its
     * end. Returns the id of the session, null where nothing was said in it yet. Throws NOT_FOUND.
     */
    async startOver(principal: Principal, reference: ChatReferenceInput): Promise<{ sessionId: string | null }> {
      const chat = parse(ChatReference, reference);
      return db.prisma.$transaction(async (transaction) => {
        const { session } = await findChat(transaction, principal, chat);
        if (!session) return { sessionId: null };
        // Behind a turn that is being prepared, or it would go on where this one left.
        await transaction.$queryRaw`SELECT 1 FROM "ChatSession" WHERE "id" = ${session.id}::uuid FOR UPDATE`;
        await transaction.chatMessage.updateMany({
          where: { sessionId: session.id, parentId: null },
          data: { latestChildId: null },
        });
        await transaction.chatSession.update({ where: { id: session.id }, data: { updatedAt: new Date() } });
        return { sessionId: session.id };
      });
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

    /** The sessions one may read that hold all the words, most recently used first; all of them for an empty query. */
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
        principal.credential.projectId,
        can(principal, 'read:chat'),
      ]);
      const ids = found.slice(0, page.limit).map(({ id }) => id);
      const rows = await db.prisma.chatSession.findMany({
        ...select,
        where: { AND: [visible.chatSessions(principal), { id: { in: ids } }] },
      });
      const byId = new Map(rows.map((row) => [row.id, row]));
      return { rows: ids.flatMap((id) => byId.get(id) ?? []), hasNext: found.length > page.limit };
    },

    /**
     * Renames a session, shares or unshares it, and sets its model and how that answers. Null and absent leave a field
     * unchanged; a field in `clear` goes back to the agent's or the server's own value. `generateName` names the session
     * after its first message. Throws NOT_FOUND, BAD_USER_INPUT, also for an unknown model, and FORBIDDEN for
     * `generateName` without `read:chat`, because the name would reveal a message.
     */
    async update(principal: Principal, id: string, input: UpdateChatSessionInput): Promise<ChatSession> {
      const { generateName, ...data } = changesOf(parse(UpdateChatSession, input));
      if (generateName && data.name !== undefined)
        throw badInput(['input', 'generateName'], 'cannot be combined with `name`');
      if (generateName) demand(principal, 'read:chat');
      const model = data.model == null ? data.model : chosenModel(models, data.model).modelId;
      return db.prisma.$transaction(async (transaction) => {
        await own(transaction, principal, id);
        return transaction.chatSession.update({
          where: { id },
          data: {
            ...data,
            ...(model !== undefined && { model }),
            ...(generateName && { name: await nameFromMessages(transaction, id) }),
          },
        });
      });
    },

    /**
     * Moves a session of the principal's into a project of theirs, or out of its project where `clear` names that.
     * Throws BAD_USER_INPUT, NOT_FOUND, and FORBIDDEN when a token that is confined to a project would move one out.
     */
    async move(principal: Principal, id: string, input: MoveChatSessionInput): Promise<ChatSession> {
      const { projectId } = changesOf(parse(MoveChatSession, input));
      if (projectId === undefined)
        throw badInput(['input', 'projectId'], 'is required unless `clear` contains `PROJECT_ID`');
      const { userId, credential } = principal;
      if (projectId === null && credential.projectId !== null)
        throw forbidden([], 'A token that is confined to a project takes no chat out of it.');
      const session = await db.prisma.$transaction(async (transaction) => {
        const where = { AND: [visible.chatSessions(principal), { id, userId }] };
        if ((await transaction.chatSession.count({ where })) === 0) throw notFound('Chat session');
        if (projectId !== null) await projectToFill(transaction, principal, projectId, notFound('Project'));
        return transaction.chatSession.update({ where: { id }, data: { projectId } });
      });
      // Tokens of the project that it left read no more of what is, or was just, being said.
      const run = runs.lastOf(id);
      if (run) run.projectId = projectId;
      return session;
    },

    /** Hides a session; `hard` erases it with its messages. A running answer is stopped. Throws NOT_FOUND. */
    async delete(principal: Principal, id: string, { hard = false }: { hard?: boolean } = {}): Promise<void> {
      await db.prisma.$transaction(async (transaction) => {
        await own(transaction, principal, id);
        if (hard) await transaction.chatSession.delete({ where: { id } });
        else await transaction.chatSession.update({ where: { id }, data: hidden() });
      });
      runs.ofSession(id)?.stop();
    },

    /** Hides all of one's own sessions and returns how many. */
    async deleteAll(principal: Principal): Promise<number> {
      const deleted = await db.prisma.chatSession.updateManyAndReturn({
        where: { AND: [visible.chatSessions(principal), { userId: principal.userId }] },
        data: hidden(),
        select: { id: true },
      });
      for (const { id } of deleted) runs.ofSession(id)?.stop();
      return deleted.length;
    },

    /**
     * Erases the sessions that nobody used for so many days, hidden ones too, with what was said in them; returns how
     * many. One that is answering stays, and so does one that a turn begins in meanwhile.
     */
    async forget(days: number): Promise<number> {
      let erased = 0;
      for (let batch = forgetBatch; batch === forgetBatch; erased += batch)
        batch = await db.prisma.$executeRaw`DELETE FROM "ChatSession" WHERE "id" IN (
          SELECT s."id" FROM "ChatSession" s
          WHERE s."updatedAt" < now() - make_interval(days => ${days}::int)
            AND NOT EXISTS (SELECT FROM "Run" r WHERE r."sessionId" = s."id" AND r."status" = 'RUNNING')
          LIMIT ${forgetBatch}::int FOR UPDATE SKIP LOCKED)`;
      if (erased > 0) log.info({ erased, days }, 'chat sessions past their retention were erased');
      return erased;
    },

    /** See {@link messageReferences}. */
    references: messageReferences(db, knowledge),

    /** See {@link documentSizes}. */
    documentSize: documentSizes(db),
  };
}

export interface SessionFilter {
  agentId?: number | null | undefined;
  /** All that one may read in that project. */
  projectId?: number | null | undefined;
  /** Only those in no project; to a token that is confined to one, its own counts as none. */
  outsideProjects?: boolean | null | undefined;
  before?: Date | null | undefined;
  /** Also those in which nothing was ever said. */
  includeFailed?: boolean | null | undefined;
}

/**
 * Whether a session that came with something else is among those that the principal reads as their own: what
 * `visible.chatSessions` says to who may read chats, of a row, hidden or not.
 */
export const seesSession = (
  { userId, credential }: Principal,
  session: Pick<ChatSession, 'userId' | 'projectId'> & { project: { ownerId: string } | null },
): boolean =>
  credential.projectId === null
    ? session.userId === userId || session.project?.ownerId === userId
    : session.projectId === credential.projectId;

async function nameFromMessages(transaction: Prisma.TransactionClient, sessionId: string): Promise<string> {
  const first = await transaction.chatMessage.findFirst({
    where: { sessionId, role: 'USER' },
    orderBy: { id: 'asc' },
    select: { text: true },
  });
  const line = first?.text.trim().split('\n')[0] ?? '';
  return shortened(line, generatedName) || 'New chat';
}

export type ChatService = ReturnType<typeof chatService>;
