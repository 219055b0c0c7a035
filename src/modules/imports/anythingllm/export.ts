import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import type { Prisma } from '../../../generated/prisma/client.ts';
import { slugOf } from '../../../slug.ts';
import { actionIds, agentStillHere, type ImportFoundation, type Importing, importFrom } from '../importing.ts';
import { Unfit } from '../ledger.ts';
import { ImportError } from '../operator.ts';
import { oneLine, type Report } from '../report.ts';
import { cutTo, messageText } from '../text.ts';
import { writeSession } from '../writing.ts';
import { type Exchange, importExchanges } from './chats.ts';
import { ExportedChat } from './shapes.ts';
import { freeSlug, workspaceAgent } from './workspaces.ts';

/** The largest export, in bytes: it is held in memory whole. */
const maxBytes = 500 * 1024 * 1024;

/** What AnythingLLM writes for a chat that was nobody's. */
const nobody = new Set(['', 'API', 'unknown user']);

function readExport(path: string): unknown[] {
  if (statSync(path).size > maxBytes) throw new ImportError(`${path} is larger than 500 MB`);
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    throw new ImportError(`${path} is not JSON: export the chats with type=json`);
  }
  if (!Array.isArray(value)) throw new ImportError(`${path} is no export of chats: it is not a list`);
  return value;
}

/** The same at every export of one and the same chat, whoever rates it later. */
const identityOf = ({ id, workspace, username, prompt, response }: ExportedChat): string =>
  `${id}:${createHash('sha256')
    .update(JSON.stringify([workspace, username, prompt, response]))
    .digest('hex')}`;

interface Conversation {
  workspace: string;
  username: string;
  exchanges: Exchange[];
}

/**
 * Brings over the chats of an export of AnythingLLM (`GET /v1/system/export-chats?type=json`): the workspaces that they
 * name as agents, and of each person and workspace one session. Throws ImportError for what is no such file.
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
    if (images > 0) importing.report.leave(`${images} images of chats`, 'are not brought over');
    for (const [key, conversation] of conversations) {
      // An export may have them newest first.
      conversation.exchanges.sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime());
      await importConversation(importing, key, conversation, entries.length);
    }
    importing.report.next(
      'an export holds chats alone: bring the storage folder over for documents, prompts and people',
    );
  });
}

function exchangeOf(chat: ExportedChat): Exchange {
  if (chat.workspace === '') throw new Unfit('names no workspace');
  if (!chat.sent_at) throw new Unfit('does not say when it was');
  return {
    id: identityOf(chat),
    question: messageText(chat.prompt),
    answer: messageText(chat.response),
    createdAt: chat.sent_at,
    liked: chat.rating === 'GOOD' ? true : chat.rating === 'BAD' ? false : null,
  };
}

async function importConversation(
  importing: Importing,
  key: string,
  { workspace, username, exchanges }: Conversation,
  total: number,
): Promise<void> {
  const { operator, ledger, report } = importing;
  const agentId = await ledger.bring('agent', workspace, workspace, async (transaction) => {
    const name = cutTo(workspace, 255);
    const ownerId = operator.userId;
    // By its name, as the export has it: one that is here already is the one that is meant.
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
  });
  const first = exchanges[0];
  const last = exchanges.at(-1);
  if (agentId === null || !first || !last) return;
  const session = await ledger.bring('session', key, `${workspace} of ${username}`, async (transaction) => {
    await agentStillHere(transaction, Number(agentId));
    // A name is no proof: chats are not put among those of whoever administers this server.
    const where: Prisma.UserWhereInput = {
      username,
      accountType: 'STANDARD',
      OR: [{ role: { not: 'ADMIN' } }, { id: operator.userId }],
    };
    const person = nobody.has(username) ? null : await transaction.user.findFirst({ where });
    if (!person && !nobody.has(username))
      report.changed(
        `chats of ${oneLine(username)} in ${oneLine(workspace)}`,
        `belong to ${operator.name}: nobody here has that username, or an administrator`,
      );
    const written = await writeSession(transaction, {
      userId: person?.id ?? operator.userId,
      agentId: Number(agentId),
      name: person ? null : cutTo(username, 500) || null,
      clientKey: '',
      createdAt: first.createdAt,
      updatedAt: last.createdAt,
    });
    return written.id;
  });
  if (session !== null) await importExchanges(importing, session, exchanges, total);
}
