import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { slugOf } from '../../../slug.ts';
import {
  actionIds,
  agentStillHere,
  type ImportFoundation,
  type Importing,
  importFrom,
  userStillHere,
} from '../importing.ts';
import { Unfit } from '../ledger.ts';
import { writeSession } from '../message-writer.ts';
import { ImportError } from '../operator.ts';
import { oneLine, type Report } from '../report.ts';
import { cutTo, messageText } from '../text.ts';
import { type Exchange, importExchanges } from './exchanges.ts';
import { ExportedChat } from './shapes.ts';
import { freeSlug, workspaceAgent } from './workspaces.ts';

/** Maximum size of an export in bytes, since it is loaded into memory. */
const maxBytes = 500 * 1024 * 1024;

/** The names that AnythingLLM exports for a chat without a user. */
const nobody = new Set(['', 'API', 'unknown user']);

function readExport(path: string): unknown[] {
  if (statSync(path).size > maxBytes) throw new ImportError(`${path} is larger than 500 MB`);
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    throw new ImportError(`${path} is not JSON: export the chats with type=json`);
  }
  if (!Array.isArray(value)) throw new ImportError(`${path} is not a chat export: it does not contain a list`);
  return value;
}

/** Returns the same key for a chat in every export, even after its person and workspace were renamed. */
const identityOf = (id: ExportedChat['id'], sentAt: Date, prompt: string): string =>
  createHash('sha256')
    .update(JSON.stringify([String(id), sentAt.getTime(), prompt]))
    .digest('hex');

interface Conversation {
  workspace: string;
  username: string;
  exchanges: Exchange[];
}

/**
 * Imports the chats of an AnythingLLM export (`GET /v1/system/export-chats?type=json`): their workspaces as agents, and
 * one session per person and workspace. Throws ImportError for an invalid file.
 */
export async function importExport(foundation: ImportFoundation, path: string): Promise<Report> {
  const entries = readExport(path);
  const identity = 'anythingllm-export';
  return importFrom(foundation, { identity, name: 'an export of AnythingLLM' }, async (importing) => {
    const conversations = new Map<string, Conversation>();
    let images = 0;
    for (const [index, entry] of entries.entries()) {
      const read = ExportedChat.safeParse(entry);
      if (!read.success) {
        importing.report.leave(`entry ${index + 1}`, 'is not an exported chat');
        continue;
      }
      const chat = read.data;
      images += chat.attachments.length;
      try {
        const exchange = exchangeOf(chat);
        const key = JSON.stringify([chat.workspace, chat.username]);
        const conversation = conversations.get(key) ?? { ...chat, exchanges: [] };
        conversations.set(key, conversation);
        conversation.exchanges.push(exchange);
      } catch (error) {
        if (!(error instanceof Unfit)) throw error;
        importing.report.leave(`chat ${chat.id}`, error.message);
      }
    }
    if (images > 0) importing.report.leave(`${images} images of chats`, 'are not imported');
    for (const conversation of conversations.values()) {
      // An export can list the newest first.
      conversation.exchanges.sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime());
      await importConversation(importing, conversation, entries.length);
    }
    importing.report.next(
      'a chat export contains only chats: import the storage folder for documents, prompts and people',
    );
  });
}

function exchangeOf(chat: ExportedChat): Exchange {
  if (chat.workspace === '') throw new Unfit('names no workspace');
  if (!chat.sent_at) throw new Unfit('has no date');
  return {
    id: identityOf(chat.id, chat.sent_at, chat.prompt),
    question: messageText(chat.prompt),
    answer: messageText(chat.response),
    createdAt: chat.sent_at,
    liked: chat.rating === 'GOOD' ? true : chat.rating === 'BAD' ? false : null,
  };
}

async function importConversation(importing: Importing, conversation: Conversation, total: number): Promise<void> {
  const session = (await sessionBefore(importing, conversation)) ?? (await newSession(importing, conversation));
  if (session !== null) await importExchanges(importing, session, conversation.exchanges, total);
}

/**
 * Returns the session of the latest chat that was imported before. Chats of a person who was deleted in the source have
 * no owner since; they continue in a session of the operator only.
 */
async function sessionBefore(
  { db, operator, ledger, report }: Importing,
  { username, exchanges }: Conversation,
): Promise<string | undefined> {
  const owned = nobody.has(username) ? { session: { userId: operator.userId } } : {};
  const answers = exchanges.flatMap(({ id }) => ledger.targetOf('chat', id) || []).map(Number);
  for (let to = answers.length; to > 0; to -= 1000) {
    const held = await db.prisma.chatMessage.findFirst({
      where: { ...owned, id: { in: answers.slice(Math.max(to - 1000, 0), to) } },
      orderBy: { id: 'desc' },
      select: { sessionId: true },
    });
    if (held) {
      report.known('session');
      return held.sessionId;
    }
  }
  return undefined;
}

/**
 * Returns the person with this name. A name is not proof of identity: chats are never added to those of an
 * administrator of this server.
 */
const personOf = ({ db, operator }: Importing, username: string) =>
  db.prisma.user.findFirst({
    where: {
      username,
      accountType: 'STANDARD',
      OR: [{ role: { not: 'ADMIN' } }, { id: operator.userId }],
    },
    select: { id: true },
  });

/**
 * Creates the session of a conversation, and the agent if it does not exist. Returns null for a conversation that is
 * skipped, which is reported.
 */
async function newSession(
  importing: Importing,
  { workspace, username, exchanges }: Conversation,
): Promise<string | null> {
  const { operator, ledger, report } = importing;
  const first = exchanges[0];
  const last = exchanges.at(-1);
  if (!first || !last) return null;
  const person = nobody.has(username) ? { id: operator.userId } : await personOf(importing, username);
  if (!person) {
    report.leave(
      `${exchanges.length} chats of ${oneLine(username)} in ${oneLine(workspace)}`,
      'have no other owner, and no person here has that user name, or the name is an administrator’s',
    );
    return null;
  }
  const agentId = await agentOf(importing, workspace);
  if (agentId === null) return null;
  // Recorded under its first chat, since another person can have the name later.
  const key = nobody.has(username) ? `nobody:${first.id}` : first.id;
  return ledger.bring('session', {
    id: key,
    name: `${workspace} of ${username}`,
    async work(transaction) {
      await agentStillHere(transaction, Number(agentId));
      await userStillHere(transaction, person.id);
      const written = await writeSession(transaction, {
        userId: person.id,
        agentId: Number(agentId),
        name: nobody.has(username) ? cutTo(username, 500) || null : null,
        clientKey: '',
        createdAt: first.createdAt,
        updatedAt: last.createdAt,
      });
      return written.id;
    },
  });
}

/** Returns the agent with the name of a workspace. */
function agentOf({ operator, ledger }: Importing, workspace: string): Promise<string | null> {
  return ledger.bring('agent', {
    id: workspace,
    name: workspace,
    async work(transaction) {
      const name = cutTo(workspace, 255);
      const ownerId = operator.userId;
      const own = await transaction.agent.findFirst({ where: { name, ownerId, deletedAt: null } });
      if (own) return String(own.id);
      const { id } = await transaction.agent.create({
        data: {
          ...workspaceAgent,
          name,
          slug: await freeSlug(transaction, slugOf(name)),
          isPublic: true,
          owner: { connect: { id: ownerId } },
          actions: { connect: (await actionIds(transaction, ['SearchTool'])).map((action) => ({ id: action })) },
        },
      });
      return String(id);
    },
  });
}
