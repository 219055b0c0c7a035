import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, notFound } from '../../errors.ts';
import type { MessageStatus, Prisma } from '../../generated/prisma/client.ts';
import { cut, ListOrder } from '../../paging.ts';
import type { Database, Statement } from '../../store/database.ts';
import type { ChatService } from './chat.service.ts';
import type { NumberedHit } from './events.ts';

export type ChatExportFormat = 'JSON' | 'MARKDOWN';

/** An exported session. A JSON export is an array of these; the format is stable. */
export interface ExportedSession {
  id: string;
  name: string | null;
  agent: { id: number; name: string };
  createdAt: Date;
  updatedAt: Date;
  /** The whole tree, oldest first: a message follows its parent. */
  messages: ExportedMessage[];
}

export interface ExportedMessage {
  id: number;
  parentId: number | null;
  latestChildId: number | null;
  role: 'SYSTEM' | 'USER' | 'ASSISTANT';
  status: MessageStatus;
  text: string;
  reasoning: string | null;
  model: string | null;
  createdAt: Date;
  citations: { number: number; documentId: string; title: string | null; link: string | null }[];
  files: { id: string; name: string }[];
}

type SessionHead = Omit<ExportedSession, 'messages'>;

/** An export that is generated while it is read. */
export interface ChatExport {
  fileName: string;
  mediaType: string;
  text: AsyncGenerator<string, void, undefined>;
}

const kinds: Record<ChatExportFormat, { mediaType: string; extension: string }> = {
  JSON: { mediaType: 'application/json', extension: 'json' },
  MARKDOWN: { mediaType: 'text/markdown', extension: 'md' },
};

/** Number of sessions, and of messages, in memory at a time. A message can have 200,000 characters and its passages. */
const sessionPage = 100;
const messagePage = 50;
/** Maximum length of an export that is returned as one value, in characters. */
const maxContentLength = 4_000_000;

/** Oldest first. */
const exportOrder = new ListOrder('chatExport', [
  { field: 'createdAt', type: 'date', direction: 'asc' },
  { field: 'id', type: 'uuid', direction: 'asc' },
]);

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

const sessionHead = {
  id: true,
  name: true,
  agent: { select: { id: true, name: true } },
  createdAt: true,
  updatedAt: true,
} satisfies Prisma.ChatSessionSelect;

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

/** Creates the service that exports readable chats as JSON or Markdown, with one page in memory at a time. */
export function createChatExportService(db: Database, references: ChatService['references']) {
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

  /** Yields all sessions of the principal, oldest first. */
  async function* ownSessions(principal: Principal): AsyncGenerator<SessionHead, void, undefined> {
    for (let after: string | null = null; ; ) {
      const page = exportOrder.page({ first: sessionPage, after }, sessionPage);
      const found = await db.prisma.chatSession.findMany({
        ...page,
        where: { AND: [visible.chatSessions(principal), { userId: principal.userId }, page.where] },
        select: sessionHead,
      });
      const { rows, hasMore } = cut(found, page);
      yield* rows;
      const last = rows.at(-1);
      if (!hasMore || !last) return;
      after = exportOrder.cursor(last);
    }
  }

  async function* json(principal: Principal, sessions: Sessions): AsyncGenerator<string, void, undefined> {
    yield '[';
    let session = '\n';
    for await (const head of sessions) {
      yield `${session}${JSON.stringify(head).slice(0, -1)},"messages":[`;
      let message = '\n';
      for await (const page of tree(principal, head.id)) {
        yield message + page.map((each) => JSON.stringify(each)).join(',\n');
        message = ',\n';
      }
      yield '\n]}';
      session = ',\n';
    }
    yield '\n]\n';
  }

  async function* markdown(principal: Principal, sessions: Sessions): AsyncGenerator<string, void, undefined> {
    let between = '';
    for await (const session of sessions) {
      yield between + heading(session);
      between = '\n';
      for await (const page of branch(principal, session.id)) yield page.map(utterance).join('');
    }
  }

  const write = { JSON: json, MARKDOWN: markdown };

  const service = {
    /**
     * Exports one readable session, or all sessions of the principal that are not deleted, oldest first. JSON is an
     * array of {@link ExportedSession} with the whole tree of each, Markdown the current branch of each. Throws
     * NOT_FOUND before anything is written.
     */
    async open(
      principal: Principal,
      { format, sessionId }: { format: ChatExportFormat; sessionId?: string | null | undefined },
    ): Promise<ChatExport> {
      const { mediaType, extension } = kinds[format];
      if (sessionId == null)
        return { fileName: `chats.${extension}`, mediaType, text: write[format](principal, ownSessions(principal)) };
      const where = { AND: [visible.chatSessions(principal), { id: sessionId }] };
      const session = await db.prisma.chatSession.findFirst({ where, select: sessionHead });
      if (!session) throw notFound('CHAT_SESSION_NOT_FOUND');
      return { fileName: `chat-${session.id}.${extension}`, mediaType, text: write[format](principal, [session]) };
    },

    /** Exports one session as one value. Throws NOT_FOUND, and BAD_USER_INPUT above 4,000,000 characters. */
    async whole(principal: Principal, sessionId: string, format: ChatExportFormat) {
      const { text, ...file } = await service.open(principal, { format, sessionId });
      let content = '';
      for await (const part of text) {
        content += part;
        if (content.length > maxContentLength)
          throw badInput(['id'], 'is too long for one response; download the session from /api/chat/export');
      }
      return { ...file, content };
    },
  };
  return service;
}

type Sessions = AsyncIterable<SessionHead> | Iterable<SessionHead>;

/** Escapes a text for one line of Markdown. */
const plain = (text: string): string =>
  text
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/[\\`*_[\]<>#|~]/g, '\\$&');

/** Returns a link target that cannot end early. */
const target = (link: string): string => `<${link.replace(/[<>\s]/g, encodeURIComponent)}>`;

const heading = ({ name, agent, createdAt, updatedAt }: SessionHead): string =>
  `# ${plain(name ?? '') || 'Untitled chat'}\n\nWith ${plain(agent.name)}. Begun ${createdAt.toISOString()}, last used ${updatedAt.toISOString()}.\n`;

/** Describes why an answer is incomplete. */
const shortened: Partial<Record<MessageStatus, string>> = {
  STREAMING: 'still being written',
  STOPPED: 'stopped',
  FAILED: 'failed',
  INTERRUPTED: 'interrupted',
};

/** Formats a message with its author, time and sources. Its text is already Markdown. */
function utterance({ role, status, text, model, createdAt, citations, files }: ExportedMessage): string {
  const who = role === 'USER' ? '**User**' : `**Assistant**${model === null ? '' : ` (${plain(model)})`}`;
  const note = shortened[status] === undefined ? '' : `, ${shortened[status]}`;
  const cited = citations.map(({ number, documentId, title, link }) => {
    const name = plain(title ?? documentId);
    return `- \\[${number}\\] ${link ? `[${name}](${target(link)})` : name}`;
  });
  return [
    `\n${who}, ${createdAt.toISOString()}${note}\n`,
    text && `\n${text}\n`,
    files.length > 0 && `\nFiles:\n\n${files.map(({ name }) => `- ${plain(name)}`).join('\n')}\n`,
    cited.length > 0 && `\nSources:\n\n${cited.join('\n')}\n`,
  ]
    .filter(Boolean)
    .join('');
}
