import { z } from 'zod';
import type { ChatModels } from '../../ai/providers.ts';
import { can, demand, type Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, denied, notFound, parse } from '../../errors.ts';
import type { ChatSession, Prisma } from '../../generated/prisma/client.ts';
import { cut, ListOrders, type ListRequest, type PageOf, type SortKey } from '../../paging.ts';
import type { Database, Statement } from '../../store/database.ts';
import { searchForm } from '../../text/normalize.ts';
import { cutText, shortened } from '../../unicode.ts';
import { databaseId, plainText } from '../../zod-types.ts';
import { changesOf, clearList } from '../changes.ts';
import type { KnowledgeService } from '../knowledge/knowledge.service.ts';
import { storableDate } from '../knowledge/retrieval.ts';
import { projectToFill } from '../projects/projects.service.ts';
import { ChatReference, type ChatReferenceInput, findChat } from './chat-locator.ts';
import { documentSizes } from './document-sizes.ts';
import { messageReferences } from './message-sources.ts';
import { NewSession, startSession } from './new-session.ts';
import { chosenModel, modelOverrides } from './overrides.ts';
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

const byId: SortKey = { field: 'id', type: 'uuid', direction: 'asc' };
export const chatSessionOrders = new ListOrders(
  'chatSessions',
  {
    UPDATED_AT: [{ field: 'updatedAt', type: 'date', direction: 'asc' }, byId],
    CREATED_AT: [{ field: 'createdAt', type: 'date', direction: 'asc' }, byId],
    NAME: [{ field: 'name', type: 'text', direction: 'asc', nullable: true }, byId],
  },
  { field: 'UPDATED_AT', direction: 'DESC' },
);
/** IDs of messages increase with the time of their creation. */
export const chatMessageOrders = new ListOrders(
  'chatMessages',
  { CREATED_AT: [{ field: 'id', type: 'int', direction: 'asc' }] },
  { field: 'CREATED_AT', direction: 'ASC' },
);

/** Age after which a session without messages counts as failed. Milliseconds. */
const failedAfter = 5 * 60_000;
/** Maximum length of a name that is generated from a first message, in characters. */
const generatedName = 60;

/**
 * Finds sessions whose name or one of whose messages contains all words, as PostgreSQL splits them (`main.ts` is one
 * word), or with the last word as a prefix.
 *
 * The visibility rule is `visible.chatSessions` in SQL; a test verifies that both are equal.
 */
const findSessions: Statement = {
  name: 'find_sessions',
  text: `WITH q AS (SELECT plainto_tsquery('simple', $2) || to_tsquery('simple', $3) AS query),
    readable AS (
      SELECT "id" FROM "ChatSession" WHERE "userId" = $1::uuid AND ($5::int IS NULL OR "projectId" = $5::int)
      UNION
      SELECT s."id" FROM "Project" p JOIN "ChatSession" s ON s."projectId" = p."id"
      WHERE $6::boolean AND (p."id" = $5::int OR ($5::int IS NULL AND p."ownerId" = $1::uuid)))
    SELECT s."id" FROM readable JOIN "ChatSession" s ON s."id" = readable."id" CROSS JOIN q
    WHERE s."deletedAt" IS NULL
      AND (to_tsvector('simple', "search_form"(coalesce(s."name", ''))) @@ q.query
        OR EXISTS (SELECT 1 FROM "ChatMessage" m WHERE m."sessionId" = s."id" AND m."search" @@ q.query))
    ORDER BY s."updatedAt" DESC, s."id" DESC LIMIT $4`,
};

/** Returns a search text that PostgreSQL can store, in the form in which it is indexed. */
const searchable = (query: string): string => searchForm(cutText(query.toWellFormed(), 1000)).replaceAll('\0', ' ');

/** Converts the words of a search to a well-formed tsquery: letters and digits only, with the last word as a prefix. */
function toTsQuery(query: string): string {
  const words = query.toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
  return words
    .slice(0, 32)
    .map((word, index) => (index === words.length - 1 ? `${word}:*` : word))
    .join(' & ');
}

/** The values of a soft-deleted session, whose names become available again. */
const hidden = () => ({ deletedAt: new Date(), slug: null, clientKey: null });

/** Maximum number of sessions that a search finds: the most recently used ones. */
const maxFound = 10_000;

/** The dependencies of the chat service. */
interface ChatServiceDeps {
  db: Database;
  knowledge: KnowledgeService;
  runs: Runs;
  models: ChatModels;
}

export function createChatService({ db, knowledge, runs, models }: ChatServiceDeps) {
  async function own(transaction: Prisma.TransactionClient, principal: Principal, id: string): Promise<ChatSession> {
    const where = { AND: [visible.ownChatSessions(principal), { id }] };
    const session = await transaction.chatSession.findFirst({ where });
    if (!session) throw notFound('CHAT_SESSION_NOT_FOUND');
    return session;
  }

  /**
   * The condition for the principal's own sessions, or all sessions of a project; for a project token, all sessions of
   * its project. A search covers all readable sessions.
   */
  const chosen = ({ userId, credential }: Principal, { projectId, outsideProjects, search }: SessionFilter) => {
    if (projectId != null) return { projectId };
    if (credential.projectId !== null) return {};
    if (outsideProjects) return { userId, projectId: null };
    return search == null ? { userId } : {};
  };

  /** Returns the IDs of the readable sessions that contain all words of a text, or null for a text without words. */
  async function found(principal: Principal, search: string): Promise<string[] | null> {
    const text = searchable(search);
    const words = toTsQuery(text);
    if (words === '') return null;
    const rows = await db.query<{ id: string }>(findSessions, [
      principal.userId,
      text,
      words,
      maxFound,
      principal.credential.projectId,
      can(principal, 'read:chat'),
    ]);
    return rows.map(({ id }) => id);
  }

  const listed = async (principal: Principal, filter: SessionFilter): Promise<Prisma.ChatSessionWhereInput> => {
    const { includeFailed, agentId, updatedBefore, search } = filter;
    const before = updatedBefore == null ? null : parse(storableDate, updatedBefore, ['filter', 'updatedBefore']);
    const ids = search == null ? null : await found(principal, search);
    return {
      AND: [
        visible.chatSessions(principal),
        chosen(principal, filter),
        ids === null ? {} : { id: { in: ids } },
        agentId == null ? {} : { agentId },
        before === null ? {} : { updatedAt: { lt: before } },
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
    /** Creates a session. See {@link startSession}. */
    async create(principal: Principal, input: CreateChatSessionInput): Promise<ChatSession> {
      const session = parse(NewSession, input);
      return db.prisma.$transaction(
        async (transaction) => (await startSession({ transaction, models }, principal, session)).session,
      );
    },

    /**
     * Returns one session. With `shared`, also a public session of another user; with `includeDeleted`, also a deleted
     * session of the principal. A project token reads only sessions of its project. Throws NOT_FOUND, and FORBIDDEN
     * when a readable private session is requested as shared.
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
      if (!session) throw notFound('CHAT_SESSION_NOT_FOUND');
      if (shared && session.sharing !== 'PUBLIC') throw denied('CHAT_NOT_SHARED', 'This chat session is not shared.');
      return session;
    },

    /**
     * Returns the session of a locator that the principal can read, or null for an own session without messages. Throws
     * NOT_FOUND for an agent that the principal cannot use and for an unknown thread.
     */
    async findByName(principal: Principal, reference: ChatReferenceInput, query: object = {}) {
      const { session } = await findChat(db.prisma, principal, parse(ChatReference, reference, ['chat']));
      return session && db.prisma.chatSession.findUnique({ ...query, where: { id: session.id } });
    },

    /** Returns the ID of the session of a locator that the principal can write to. Throws NOT_FOUND. */
    async identify(principal: Principal, reference: ChatReferenceInput): Promise<string> {
      const at = ['input', 'session', 'chat'];
      const { session } = await findChat(db.prisma, principal, parse(ChatReference, reference, at));
      if (!session) throw notFound('CHAT_SESSION_NOT_FOUND');
      return session.id;
    },

    /**
     * Starts a chat over: its messages remain on a branch that is no longer current. A running answer is completed.
     * Returns the session ID, or null when the session has no messages. Throws NOT_FOUND.
     */
    async startOver(principal: Principal, reference: ChatReferenceInput): Promise<{ sessionId: string | null }> {
      const chat = parse(ChatReference, reference);
      return db.prisma.$transaction(async (transaction) => {
        const { session } = await findChat(transaction, principal, chat);
        if (!session) return { sessionId: null };
        // Waits for a turn that is being prepared, which would otherwise continue the old branch.
        await transaction.$queryRaw`SELECT 1 FROM "ChatSession" WHERE "id" = ${session.id}::uuid FOR UPDATE`;
        await transaction.chatMessage.updateMany({
          where: { sessionId: session.id, parentId: null },
          data: { latestChildId: null },
        });
        await transaction.chatSession.update({ where: { id: session.id }, data: { updatedAt: new Date() } });
        return { sessionId: session.id };
      });
    },

    /** Returns a page of sessions in an order. Throws BAD_USER_INPUT. */
    async list(
      principal: Principal,
      filter: SessionFilter,
      { order, args, limit, query }: ListRequest,
    ): Promise<PageOf<ChatSession>> {
      const page = order.page(args, limit);
      const where = { AND: [await listed(principal, filter), page.where] };
      return cut(await db.prisma.chatSession.findMany({ ...query, ...page, where }), page);
    },

    async count(principal: Principal, filter: SessionFilter): Promise<number> {
      return db.prisma.chatSession.count({ where: await listed(principal, filter) });
    },

    /**
     * Renames a session, shares or unshares it, and sets its model and the model's options. Null or absent fields are
     * left unchanged; a field in `clear` is reset to the value of the agent or the server. `generateName` derives the
     * session's name from its first message. Throws NOT_FOUND, BAD_USER_INPUT, also for an unknown model, and FORBIDDEN
     * for `generateName` without `read:chat`, because the name would reveal a message.
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
     * Moves one of the principal's sessions into one of the principal's projects, or out of its project when `clear`
     * contains `PROJECT_ID`. Throws BAD_USER_INPUT, NOT_FOUND, and FORBIDDEN when a token that is restricted to a
     * project would move a session out of it.
     */
    async move(principal: Principal, id: string, input: MoveChatSessionInput): Promise<ChatSession> {
      const { projectId } = changesOf(parse(MoveChatSession, input));
      if (projectId === undefined)
        throw badInput(['input', 'projectId'], 'is required unless `clear` contains `PROJECT_ID`');
      const { userId, credential } = principal;
      if (projectId === null && credential.projectId !== null)
        throw denied('PROJECT_TOKEN_CONFINED', 'A project token cannot move a chat out of its project.');
      const session = await db.prisma.$transaction(async (transaction) => {
        const where = { AND: [visible.chatSessions(principal), { id, userId }] };
        if ((await transaction.chatSession.count({ where })) === 0) throw notFound('CHAT_SESSION_NOT_FOUND');
        if (projectId !== null) await projectToFill(transaction, principal, projectId, notFound('PROJECT_NOT_FOUND'));
        return transaction.chatSession.update({ where: { id }, data: { projectId } });
      });
      // Tokens of the previous project can no longer read the running or last answer.
      const run = runs.lastOf(id);
      if (run) run.projectId = projectId;
      return session;
    },

    /** Soft-deletes a session; `hard` erases it with its messages. A running answer is stopped. Throws NOT_FOUND. */
    async delete(principal: Principal, id: string, { hard = false }: { hard?: boolean } = {}): Promise<void> {
      await db.prisma.$transaction(async (transaction) => {
        await own(transaction, principal, id);
        if (hard) await transaction.chatSession.delete({ where: { id } });
        else await transaction.chatSession.update({ where: { id }, data: hidden() });
      });
      runs.ofSession(id)?.stop();
    },

    /** Soft-deletes all sessions of the principal and returns their IDs. */
    async deleteAll(principal: Principal): Promise<string[]> {
      const deleted = await db.prisma.chatSession.updateManyAndReturn({
        where: { AND: [visible.chatSessions(principal), { userId: principal.userId }] },
        data: hidden(),
        select: { id: true },
      });
      for (const { id } of deleted) runs.ofSession(id)?.stop();
      return deleted.map(({ id }) => id);
    },

    /** Returns the sources of messages. See {@link messageReferences}. */
    references: messageReferences(db, knowledge),

    /** Returns the length of a document. See {@link documentSizes}. */
    documentSize: documentSizes(db),
  };
}

export interface SessionFilter {
  agentId?: number | null | undefined;
  /** Selects all readable sessions of this project. */
  projectId?: number | null | undefined;
  /** Selects sessions outside projects only. A project token's own project is treated as no project. */
  outsideProjects?: boolean | null | undefined;
  updatedBefore?: Date | null | undefined;
  /** Selects readable sessions, of any owner, that contain all words of this text. */
  search?: string | null | undefined;
  /** Includes sessions without messages. */
  includeFailed?: boolean | null | undefined;
}

/**
 * Returns whether a session that was loaded with another object is readable for the principal as its own: the rule of
 * `visible.chatSessions`, applied to a row, deleted or not.
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

export type ChatService = ReturnType<typeof createChatService>;
