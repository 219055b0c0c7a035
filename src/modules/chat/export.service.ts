import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, notFound } from '../../errors.ts';
import type { Prisma } from '../../generated/prisma/client.ts';
import { cut, ListOrder } from '../../paging.ts';
import type { Database } from '../../store/database.ts';
import type { ChatService } from './chat.service.ts';
import { messageMarkdown, sessionHeading } from './export-markdown.ts';
import { createExportedMessages } from './exported-messages.ts';
import type { SessionHead } from './exported-session.ts';

export type ChatExportFormat = 'JSON' | 'MARKDOWN';

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

/** Number of sessions in memory at a time. */
const sessionPage = 100;
/** Maximum length of an export that is returned as one value, in characters. */
const maxContentLength = 4_000_000;

/** Oldest first. */
const exportOrder = new ListOrder('chatExport', [
  { field: 'createdAt', type: 'date', direction: 'asc' },
  { field: 'id', type: 'uuid', direction: 'asc' },
]);

const sessionHead = {
  id: true,
  name: true,
  agent: { select: { id: true, name: true } },
  createdAt: true,
  updatedAt: true,
} satisfies Prisma.ChatSessionSelect;

type Sessions = AsyncIterable<SessionHead> | Iterable<SessionHead>;

/** Creates the service that exports readable chats as JSON or Markdown, with one page in memory at a time. */
export function createChatExportService(db: Database, references: ChatService['references']) {
  const { tree, branch } = createExportedMessages(db, references);

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
      yield between + sessionHeading(session);
      between = '\n';
      for await (const page of branch(principal, session.id)) yield page.map(messageMarkdown).join('');
    }
  }

  const write = { JSON: json, MARKDOWN: markdown };

  const service = {
    /**
     * Exports one readable session, or all sessions of the principal that are not deleted, oldest first. JSON is an
     * array of `ExportedSession` with the whole tree of each, Markdown the current branch of each. Throws NOT_FOUND
     * before anything is written.
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
