import { z } from 'zod';
import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { parse } from '../../errors.ts';
import type { ChatMessage, Prisma } from '../../generated/prisma/client.ts';
import { cut, ListOrders, type ListRequest } from '../../paging.ts';
import type { Database } from '../../store/database.ts';
import { databaseId } from '../../zod-types.ts';
import { type AuditService, by } from '../audit/audit.service.ts';
import { answers } from '../chat/answer.ts';
import type { ChatService } from '../chat/chat.service.ts';
import { exportText, type HistoryFormat, historyFormats, mediaTypes, type Pair } from './export.ts';

const Filter = z.object({
  agentId: databaseId.nullish(),
  userId: z.uuid().nullish(),
  visitors: z.boolean().nullish(),
});
export type HistoryFilter = z.input<typeof Filter>;

const Export = z.object({ format: z.enum(historyFormats) });

/** IDs of messages increase with the time of their creation. */
export const historyOrders = new ListOrders(
  'queryHistory',
  { CREATED_AT: [{ field: 'id', type: 'int', direction: 'asc' }] },
  { field: 'CREATED_AT', direction: 'DESC' },
);

/** Maximum number of pairs in an export, and of characters of questions, answers and passages. */
const maxPairs = 10_000;
const maxCharacters = 40_000_000;
/** Number of pairs that an export reads at a time. */
const exportPage = 200;

/** For `read:query_history`: the answers of all users, as long as the session exists. */
export const answered: Prisma.ChatMessageWhereInput = {
  ...answers,
  parent: { role: 'USER' },
  session: { deletedAt: null },
};

const visitors = { clientKey: { startsWith: 'embed:' } } satisfies Prisma.ChatSessionWhereInput;

/** Throws BAD_USER_INPUT that names the field of the filter. */
function matching(filter: HistoryFilter): Prisma.ChatMessageWhereInput {
  const { agentId, userId, visitors: asked } = parse(Filter, filter, ['filter']);
  const byVisitors: Prisma.ChatSessionWhereInput = asked ? visitors : { OR: [{ clientKey: null }, { NOT: visitors }] };
  return {
    AND: [
      answered,
      agentId == null ? {} : { session: { agentId } },
      userId == null ? {} : { session: { userId } },
      asked == null ? {} : { session: byVisitors },
    ],
  };
}

const pair = {
  id: true,
  sessionId: true,
  text: true,
  createdAt: true,
  passages: true,
  citations: true,
  parent: { select: { text: true, createdAt: true } },
  feedback: { where: { positive: { not: null } }, orderBy: { updatedAt: 'desc' }, take: 1, select: { positive: true } },
  session: {
    select: {
      clientKey: true,
      agent: { select: { id: true, name: true } },
      user: { select: { accountType: true, username: true, email: true } },
    },
  },
} satisfies Prisma.ChatMessageSelect;

/** Creates the service for the questions and answers of all users. */
export function createHistoryService(db: Database, audit: AuditService, references: ChatService['references']) {
  /** Returns the newest pairs up to the limit of an export, newest first. */
  async function newest(principal: Principal): Promise<{ pairs: Pair[]; truncated: boolean }> {
    const where = matching({ visitors: false });
    const pairs: Pair[] = [];
    /** The prompts of the agents that the principal can see, and empty texts for other agents. */
    const prompts = new Map<number, string>();
    let characters = 0;
    for (let before: number | undefined; ; before = pairs.at(-1)?.id) {
      const page = await db.prisma.chatMessage.findMany({
        where: { AND: [where, before === undefined ? {} : { id: { lt: before } }] },
        orderBy: { id: 'desc' },
        take: exportPage,
        select: pair,
      });
      const readable = await Promise.all(
        page.map((message) => references(principal, message as unknown as ChatMessage)),
      );
      const unknown = page.map(({ session }) => session.agent.id).filter((id) => !prompts.has(id));
      for (const id of unknown) prompts.set(id, '');
      const seen = await db.prisma.agent.findMany({
        where: { AND: [visible.agents(principal), { id: { in: unknown } }] },
        select: { id: true, systemPrompt: true },
      });
      for (const { id, systemPrompt } of seen) prompts.set(id, systemPrompt);
      for (const [index, message] of page.entries()) {
        const passages = (readable[index]?.passages ?? []) as unknown as { text: string }[];
        const texts = [message.text, message.parent?.text ?? '', ...passages.map(({ text }) => text)];
        characters += texts.reduce((sum, text) => sum + text.length, 0);
        if (pairs.length >= maxPairs || characters > maxCharacters) return { pairs, truncated: true };
        pairs.push(pairOf(message, prompts.get(message.session.agent.id) ?? '', passages));
      }
      if (page.length < exportPage) return { pairs, truncated: false };
    }
  }

  return {
    /** Returns a page in an order. Throws BAD_USER_INPUT. */
    async list(filter: HistoryFilter, { order, args, limit, query }: ListRequest) {
      const page = order.page(args, limit);
      const where = { AND: [matching(filter), page.where] };
      return cut(await db.prisma.chatMessage.findMany({ ...query, ...page, where }), page);
    },

    count: (filter: HistoryFilter) => db.prisma.chatMessage.count({ where: matching(filter) }),

    /**
     * Exports questions and answers, oldest first, without those of widget visitors: the newest 10,000 pairs, or fewer
     * when they and their passages exceed 40,000,000 characters, as `truncated` reports. Includes only passages and
     * prompts that the principal can read.
     */
    async export(
      principal: Principal,
      input: { format: HistoryFormat },
    ): Promise<{ mediaType: string; content: string; count: number; truncated: boolean }> {
      const { format } = parse(Export, input, []);
      const { pairs, truncated } = await newest(principal);
      await audit.record(db.prisma, {
        ...by(principal),
        action: 'query_history.export',
        detail: { format, count: pairs.length },
      });
      pairs.reverse();
      return { mediaType: mediaTypes[format], content: exportText(pairs, format), count: pairs.length, truncated };
    },
  };
}

type StoredPair = Prisma.ChatMessageGetPayload<{ select: typeof pair }>;

function pairOf(message: StoredPair, systemPrompt: string, passages: { text: string }[]): Pair {
  const { id, text, createdAt, parent, session, feedback } = message;
  const { agent, user, clientKey } = session;
  const positive = feedback[0]?.positive ?? null;
  return {
    id,
    agent: { ...agent, systemPrompt },
    question: parent?.text ?? '',
    answer: text,
    askedAt: parent?.createdAt ?? createdAt,
    username: nameOfUser(user, clientKey),
    rating: positive === null ? '--' : positive ? 'GOOD' : 'BAD',
    passages: passages.map((passage) => passage.text),
  };
}

/** Returns the author of a question in the form of the workspace paths, where keys have no names. */
function nameOfUser(
  { accountType, username, email }: { accountType: string; username: string | null; email: string },
  clientKey: string | null,
): string {
  if (accountType === 'STANDARD') return username ?? email;
  return clientKey?.startsWith('session:') ? 'API' : 'unknown user';
}
