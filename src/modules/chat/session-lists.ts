import { can, type Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { parse } from '../../errors.ts';
import type { ChatSession, Prisma } from '../../generated/prisma/client.ts';
import { cut, ListOrders, type ListRequest, type PageOf, type SortKey } from '../../paging.ts';
import type { Statement } from '../../store/database.ts';
import { searchForm } from '../../text/normalize.ts';
import { cutText } from '../../unicode.ts';
import { storableDate } from '../knowledge/retrieval.ts';
import type { ChatDeps } from './chat-deps.ts';

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

/** Age after which a session without messages counts as failed. Milliseconds. */
const failedAfter = 5 * 60_000;
/** All words of a search as PostgreSQL splits them (`main.ts` is one word), or with the last word as a prefix. */
const allWords = `(plainto_tsquery('simple', $2) || to_tsquery('simple', $3))`;

/**
 * Finds sessions whose name or one of whose messages contains all words. The indexes of the words are read first, because
 * the sessions that a caller can read are usually more than those that contain the words.
 *
 * The visibility rule is `visible.chatSessions` in SQL; a test verifies that both are equal.
 */
const findSessions: Statement = {
  name: 'find_sessions',
  text: `WITH matching AS (
      SELECT "id" FROM "ChatSession" WHERE "search" @@ ${allWords}
      UNION
      SELECT "sessionId" FROM "ChatMessage" WHERE "search" @@ ${allWords})
    SELECT s."id" FROM matching JOIN "ChatSession" s ON s."id" = matching."id"
      LEFT JOIN "Project" p ON p."id" = s."projectId"
    WHERE s."deletedAt" IS NULL
      AND ((s."userId" = $1::uuid AND ($5::int IS NULL OR s."projectId" = $5::int))
        OR ($6::boolean AND (s."projectId" = $5::int OR ($5::int IS NULL AND p."ownerId" = $1::uuid))))
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

/** Maximum number of sessions that a search finds: the most recently used ones. */
const maxFound = 10_000;

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
 * The condition for the principal's own sessions, or all sessions of a project; for a project token, all sessions of
 * its project. A search covers all readable sessions.
 */
const chosen = ({ userId, credential }: Principal, { projectId, outsideProjects, search }: SessionFilter) => {
  if (projectId != null) return { projectId };
  if (credential.projectId !== null) return {};
  if (outsideProjects) return { userId, projectId: null };
  return search == null ? { userId } : {};
};

/** Creates the lists of chat sessions. */
export function sessionLists({ db }: Pick<ChatDeps, 'db'>) {
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
              OR: [{ hasMessages: true }, { createdAt: { gt: new Date(Date.now() - failedAfter) } }],
            },
      ],
    };
  };

  return {
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
  };
}
