import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import type { Prisma } from '../../generated/prisma/client.ts';
import type { Database, Statement } from '../../store/database.ts';
import type { ChatService } from './chat.service.ts';
import type { NumberedHit } from './events.ts';
import type { ExportedMessage } from './exported-session.ts';

/** Number of messages in memory at a time. A message can have 200,000 characters and its passages. */
const messagePage = 50;

/** Returns a number of messages of the current branch, starting at a given one. */
const followBranch: Statement = {
  name: 'follow_branch',
  text: `WITH RECURSIVE line AS (
      SELECT "id", "latestChildId", 1 AS place FROM "ChatMessage" WHERE "id" = $1::int
      UNION ALL
      SELECT m."id", m."latestChildId", line.place + 1
      FROM line JOIN "ChatMessage" m ON m."id" = line."latestChildId" AND m."parentId" = line."id"
      WHERE line.place < $2::int)
    SELECT "id" FROM line ORDER BY place`,
};

const messageBody = {
  id: true,
  sessionId: true,
  parentId: true,
  latestChildId: true,
  role: true,
  status: true,
  text: true,
  reasoning: true,
  model: true,
  createdAt: true,
  citations: true,
  passages: true,
  files: { select: { id: true, name: true }, orderBy: [{ createdAt: 'asc' }, { id: 'asc' }] },
} satisfies Prisma.ChatMessageSelect;

type StoredMessage = Prisma.ChatMessageGetPayload<{ select: typeof messageBody }>;

/** Creates the functions that read the messages of a readable session for an export, one page at a time. */
export function createExportedMessages(db: Database, references: ChatService['references']) {
  /** Returns a message with the titles of its citations, limited to documents that the reader can read. */
  async function exported(principal: Principal, message: StoredMessage): Promise<ExportedMessage> {
    const { id, parentId, latestChildId, role, status, text, reasoning, model, createdAt, files } = message;
    const known = await references(principal, message);
    const hits = known.passages as unknown as NumberedHit[];
    const cited = known.citations as unknown as Pick<NumberedHit, 'number' | 'documentId'>[];
    const citations = cited.map(({ number, documentId }) => {
      const hit = hits.find((each) => each.documentId === documentId);
      return { number, documentId, title: hit?.title ?? null, link: hit?.link ?? null };
    });
    return { id, parentId, latestChildId, role, status, text, reasoning, model, createdAt, citations, files };
  }

  /**
   * Returns messages of a session in the order of their IDs; an empty list once the principal can no longer read the
   * session.
   */
  async function messagesOf(principal: Principal, sessionId: string, id: Prisma.IntFilter): Promise<ExportedMessage[]> {
    const messages = await db.prisma.chatMessage.findMany({
      where: { AND: [visible.chatMessages(principal), { sessionId, id }] },
      orderBy: { id: 'asc' },
      take: messagePage,
      select: messageBody,
    });
    return Promise.all(messages.map((message) => exported(principal, message)));
  }

  /** Yields the whole tree page by page. */
  async function* tree(principal: Principal, sessionId: string): AsyncGenerator<ExportedMessage[], void, undefined> {
    for (let beyond: Prisma.IntFilter = {}; ; ) {
      const page = await messagesOf(principal, sessionId, beyond);
      const last = page.at(-1);
      if (!last) return;
      yield page;
      if (page.length < messagePage) return;
      beyond = { gt: last.id };
    }
  }

  /** Yields the current branch without its root, page by page. */
  async function* branch(principal: Principal, sessionId: string): AsyncGenerator<ExportedMessage[], void, undefined> {
    const root = await db.prisma.chatMessage.findFirst({
      where: { AND: [visible.chatMessages(principal), { sessionId, parentId: null }] },
      select: { id: true },
    });
    // Each page starts after the last message of the previous one.
    for (let last = root?.id; last !== undefined; ) {
      const line = await db.query<{ id: number }>(followBranch, [last, messagePage + 1]);
      const page = await messagesOf(principal, sessionId, { in: line.slice(1).map(({ id }) => id) });
      if (page.length > 0) yield page;
      last = page.length === messagePage ? page.at(-1)?.id : undefined;
    }
  }

  return { tree, branch };
}
