import type { z } from 'zod';
import type { Prisma } from '../../../generated/prisma/client.ts';
import { agentStillHere, type Importing, userStillHere } from '../importing.ts';
import { Unfit } from '../ledger.ts';
import { endOf, type NewMessage, usedAt, writeMessages, writeSession } from '../message-writer.ts';
import { oneLine } from '../report.ts';
import { cutTo, messageText, webLink } from '../text.ts';
import type { Source as Database } from './database.ts';
import { ChatRow, readAnswer, type Source, ThreadRow } from './shapes.ts';
import { fitsUrl } from './workspaces.ts';

type Thread = z.output<typeof ThreadRow>;

/** Number of chats that are written together. */
const batchSize = 50;

/** A question and its answer. */
export interface Exchange {
  id: string;
  question: string;
  answer: string;
  createdAt: Date;
  liked: boolean | null;
  reasoning?: string | null;
  model?: string | null;
  durationMs?: number | null;
  passages?: Prisma.InputJsonArray;
}

/** Reasoning in the format that AnythingLLM stores in an answer. */
const thought = /^\s*<think>([\s\S]*?)<\/think>\s*/;

/** Appends exchanges to a chat in their order. */
export async function importExchanges(
  { ledger }: Importing,
  sessionId: string,
  exchanges: readonly Exchange[],
  total: number,
): Promise<void> {
  for (let from = 0; from < exchanges.length; from += batchSize) {
    const items = exchanges.slice(from, from + batchSize);
    await ledger.bringAll('chat', {
      items,
      idOf: ({ id }) => id,
      nameOf: ({ id }) => id,
      async work(transaction, fresh) {
        const end = await endOf(transaction, sessionId);
        const messages = fresh.flatMap(({ question, answer, createdAt, id: _id, ...rest }, index): NewMessage[] => [
          { role: 'USER', text: question, createdAt, parent: index === 0 ? null : index * 2 - 1 },
          { role: 'ASSISTANT', text: answer, createdAt, parent: index * 2, ...rest },
        ]);
        // Each exchange follows the previous one.
        const latest = new Map(messages.map((_, place) => [place === 0 ? null : place - 1, place]));
        const under = { sessionId, userId: end.userId, under: end.id };
        const ids = await writeMessages(transaction, under, messages, latest);
        const last = Math.max(...fresh.map(({ createdAt }) => createdAt.getTime()));
        await usedAt(transaction, sessionId, new Date(last));
        return fresh.map((_, index) => String(ids[index * 2 + 1]));
      },
    });
    ledger.step('chat', total, items.length);
  }
}

/** Returns the imported documents by the URL that sources name them with. */
async function documentsByUrl({ db, ledger }: Importing): Promise<Map<string, string>> {
  const byUrl = new Map<string, string>();
  const ids = ledger.targets('document');
  for (let from = 0; from < ids.length; from += 1000) {
    const where = { externalId: { in: ids.slice(from, from + 1000) } };
    for (const { externalId, metadata } of await db.prisma.document.findMany({
      where,
      select: { externalId: true, metadata: true },
    })) {
      const { url } = metadata as { url?: string };
      if (url) byUrl.set(url, externalId);
    }
  }
  return byUrl;
}

/** Converts sources to the passages of an answer, numbered by document. */
function passagesOf(sources: readonly Source[], byUrl: ReadonlyMap<string, string>): Prisma.InputJsonArray {
  const numbers = new Map<string, number>();
  return sources.map((source, position) => {
    const title = cutTo(source.title, 500) || 'Untitled';
    const documentId = byUrl.get(source.url) ?? (cutTo(source.url || source.id, 500) || title);
    const number = numbers.get(documentId) ?? numbers.size + 1;
    numbers.set(documentId, number);
    const link = webLink(source.chunkSource.replace(/^link:\/\//, '')) ?? webLink(source.url);
    // AnythingLLM repeats metadata before each passage.
    const text = cutTo(source.text.replace(/^\s*<document_metadata>[\s\S]*?<\/document_metadata>\s*/, ''), 20_000);
    const found = { documentId, title, link, text, number, position, score: source.score };
    return { ...found, chunkId: 0, heading: '', source: 'anythingllm', metadata: {}, updatedAt: null, highlights: [] };
  });
}

/** A chat with several rows: a thread, the unnamed chat of a person, or one that a client named. */
interface Conversation {
  key: string;
  workspaceId: number;
  userId: number | null;
  thread: Thread | null;
  clientKey: string | null;
  rows: z.output<typeof ChatRow>[];
}

/** Skips and reports the chats of people who were not imported, since they belong to no other user. */
function leaveStrangers(
  { ledger, report }: Importing,
  conversations: Map<string, Conversation>,
  people: ReadonlyMap<number, string>,
): void {
  const left = new Map<number, { threads: number; chats: number }>();
  for (const { key, userId, thread, rows } of conversations.values()) {
    if (userId === null || ledger.targetOf('user', userId) !== undefined) continue;
    const { threads, chats } = left.get(userId) ?? { threads: 0, chats: 0 };
    left.set(userId, { threads: threads + (thread ? 1 : 0), chats: chats + rows.length });
    conversations.delete(key);
  }
  for (const [userId, { threads, chats }] of left)
    report.leave(
      `${chats} chats and ${threads} threads of user ${oneLine(people.get(userId) || String(userId))}`,
      'have no other owner, and that user was not imported',
    );
}

/**
 * Imports threads and chats as sessions of their person, or of the operator when they had no person. `people` maps IDs
 * in the source to names.
 */
export async function importChats(
  importing: Importing,
  source: Database,
  people: ReadonlyMap<number, string>,
): Promise<void> {
  const { operator, ledger, report } = importing;
  const conversations = new Map<string, Conversation>();
  const into = (conversation: Omit<Conversation, 'rows'>): Conversation => {
    const known = conversations.get(conversation.key) ?? { ...conversation, rows: [] };
    conversations.set(conversation.key, known);
    return known;
  };

  for (const thread of source.rows('workspace_threads', ThreadRow))
    into({
      key: `thread:${thread.id}`,
      workspaceId: thread.workspace_id,
      userId: thread.user_id,
      thread,
      clientKey: null,
    });

  const left = { reset: 0, orphaned: 0, images: 0, chats: 0 };
  for (const row of source.rows('workspace_chats', ChatRow)) {
    const { workspaceId, user_id: userId, thread_id: threadId, api_session_id: apiSessionId } = row;
    const who = `${workspaceId}:${userId ?? ''}`;
    const named = { workspaceId, userId, thread: null };
    if (!row.include) left.reset += 1;
    else if (ledger.targetOf('agent', workspaceId) === undefined) left.orphaned += 1;
    else if (threadId !== null) {
      const thread = conversations.get(`thread:${threadId}`);
      if (thread) thread.rows.push(row);
      else left.orphaned += 1;
    } else if (apiSessionId !== null)
      into({ ...named, key: `session:${who}:${apiSessionId}`, clientKey: `session:${apiSessionId}` }).rows.push(row);
    else into({ ...named, key: `chat:${who}`, clientKey: '' }).rows.push(row);
  }
  leaveStrangers(importing, conversations, people);
  for (const { rows } of conversations.values()) left.chats += rows.length;

  const byUrl = await documentsByUrl(importing);

  function exchangeOf(row: z.output<typeof ChatRow>, before: Date): Exchange {
    const answer = row.response === null ? null : readAnswer(row.response);
    if (!answer) throw new Unfit('has an answer that is not JSON');
    left.images += ledger.targetOf('chat', row.id) === undefined ? answer.attachments : 0;
    const [whole = '', reasoning] = thought.exec(answer.text) ?? [];
    return {
      id: String(row.id),
      question: messageText(row.prompt ?? ''),
      answer: messageText(answer.text.slice(whole.length)),
      createdAt: row.createdAt ?? before,
      liked: row.feedbackScore,
      reasoning: reasoning === undefined ? null : messageText(reasoning.trim()),
      model: answer.model,
      durationMs: answer.durationMs,
      passages: passagesOf(answer.sources, byUrl),
    };
  }

  function readExchanges(rows: Conversation['rows'], begun: Date): Exchange[] {
    let before = begun;
    return rows.flatMap((row) => {
      try {
        const exchange = exchangeOf(row, before);
        before = exchange.createdAt;
        return [exchange];
      } catch (error) {
        if (!(error instanceof Unfit)) throw error;
        report.leave(`chat ${row.id}`, error.message);
        return [];
      }
    });
  }

  for (const { key, workspaceId, userId, thread, clientKey, rows } of conversations.values()) {
    const agentId = ledger.targetOf('agent', workspaceId);
    const name = thread?.name ? cutTo(thread.name, 500) : null;
    if (agentId === undefined) {
      report.leave(`thread ${name ?? key}`, 'its workspace was not imported');
      continue;
    }
    const begun = thread?.createdAt ?? rows[0]?.createdAt ?? new Date();
    const exchanges = readExchanges(rows, begun);
    const session = await ledger.bring('session', key, name ?? key, async (transaction) => {
      const ownerId = userId === null ? operator.userId : ledger.targetOf('user', userId);
      if (ownerId === undefined) throw new Unfit('its owner was not imported');
      await agentStillHere(transaction, Number(agentId));
      await userStillHere(transaction, ownerId);
      const written = await writeSession(transaction, {
        userId: ownerId,
        agentId: Number(agentId),
        name,
        slug: thread?.slug && fitsUrl.test(thread.slug) ? thread.slug : null,
        clientKey: clientKey !== null && clientKey.length <= 500 ? clientKey : null,
        createdAt: begun,
        updatedAt: thread?.lastUpdatedAt ?? exchanges.at(-1)?.createdAt ?? begun,
      });
      return written.id;
    });
    if (session !== null) await importExchanges(importing, session, exchanges, left.chats);
  }
  if (left.reset > 0)
    report.leave(`${left.reset} chats`, 'were reset or rejected in the source and are not part of a history');
  if (left.orphaned > 0) report.leave(`${left.orphaned} chats`, 'their workspace or thread no longer exists');
  if (left.images > 0) report.leave(`${left.images} images of chats`, 'are not imported');
}
