import type { Prisma } from '../../../generated/prisma/client.ts';
import { type Importing, userStillHere } from '../importing.ts';
import { Unfit } from '../ledger.ts';
import { endOf, type NewMessage, usedAt, writeMessages, writeSession } from '../message-writer.ts';
import { type OnyxClient, orReport } from './client.ts';
import { importFiles } from './files.ts';
import { type Content, contentOf } from './messages.ts';
import type { ProjectChats } from './projects.ts';
import { Message, nameOf, Session, SessionPage, SessionRef } from './shapes.ts';
import { type Choices, choicesOf, type Node, nextOf, treeOf } from './tree.ts';

type Transaction = Prisma.TransactionClient;

/** Maximum number of pages of sessions that are requested, in case a server always reports another page. */
const maxPages = 10_000;

/** Adds all sessions of the key's user to `found`. Servers without pages return all of them at once. */
async function listSessions({ report }: Importing, client: OnyxClient, found: Map<string, SessionRef>): Promise<void> {
  const listed = new Set<string>();
  const query = 'only_non_project_chats=false&include_failed_chats=false&page_size=100';
  for (let before = '', pages = 0; pages < maxPages; pages++) {
    const path = `/chat/get-user-chat-sessions?${query}${before && `&before=${encodeURIComponent(before)}`}`;
    // A limited key of an older server may be denied.
    const reply = await client.readIfThere(path, pages === 0 ? [403] : []);
    if (reply === null && pages === 0) {
      report.leave('chats', 'are not listed for this key');
      return;
    }
    const { data: page } = SessionPage.safeParse(reply);
    if (!page) throw new Error('are listed in an unknown form');
    const sessions = page.sessions.flatMap((entry) => SessionRef.safeParse(entry).data ?? []);
    const unread = page.sessions.length - sessions.length;
    if (unread > 0) report.leave(`${unread} chats`, 'do not have the form of chats');
    const fresh = sessions.filter(({ id }) => !listed.has(id));
    for (const session of fresh) {
      listed.add(session.id);
      found.set(session.id, session);
    }
    if (!page.has_more) return;
    const last = sessions.at(-1)?.time_updated;
    if (fresh.length === 0 || !last)
      throw new Error(`the list ends after ${listed.size} entries although it announces more`);
    // One millisecond later, so that a session with the same time as the last one is not skipped.
    before = new Date(last.getTime() + 1).toISOString();
  }
  throw new Error(`the list has more than ${maxPages} pages`);
}

/** A message that can be written. */
interface Item extends Node {
  content: Content;
}

/** The new messages of a session. */
interface Conversation {
  /** The ID in the source. */
  id: string;
  name: string;
  fresh: Node[];
  /** The imported files of each message, by its ID in the source. */
  files: ReadonlyMap<number, string[]>;
  /** The parent of each message in the source. */
  parents: ReadonlyMap<number, number | null>;
  choices: Choices;
}

/** The position of a message in the tree. */
interface Place {
  /** The source ID of the parent; null: the root. */
  parent: number | null;
  /** The new ID of the parent of the subtree that is written together; null: the root. */
  top: number | null;
}

/** Results of earlier steps that the import of chats needs. */
interface Before {
  projects: ProjectChats;
  /** The agents that failed: a chat without its agent would permanently use another one. */
  failedAgents: ReadonlySet<number>;
}

/**
 * Imports the chats of the key's user with their message trees, and new messages of chats that were imported before.
 */
export async function importChats(
  importing: Importing,
  client: OnyxClient,
  { projects, failedAgents }: Before,
): Promise<void> {
  const { services, operator, ledger, report, dryRun } = importing;
  const all = new Map(projects.sessions.map((session) => [session.id, session]));
  await orReport(report, 'chats', () => listSessions(importing, client, all));

  // A new installation of Onyx at the same address numbers its messages from 1 again.
  const keyOf = (session: string, id: number) => `${session}:${id}`;
  const messageHere = (session: string, id: number) => ledger.targetOf('message', keyOf(session, id));
  const fileHere = (id: string) => ledger.targetOf('file', id);

  /** Returns the positions of messages of the same list. Skipped messages are bridged. */
  function placesOf({ id: session, parents }: Conversation, items: readonly Node[]): Map<number, Place> {
    const places = new Map<number, Place>();
    for (const node of items) {
      let { parent } = node;
      while (parent !== null && !places.has(parent) && messageHere(session, parent) === undefined)
        parent = parents.get(parent) ?? null;
      const above = parent === null ? { top: null } : places.get(parent);
      const top = above ? above.top : Number(messageHere(session, parent ?? 0));
      places.set(node.message.message_id, { parent, top });
    }
    return places;
  }

  /** Returns the messages that can be written and reports the others. */
  async function fitOf(sessionId: string, conversation: Conversation): Promise<Item[]> {
    const leave = ({ message }: Node, reason: string) =>
      report.leave(`message ${message.message_id} of chat ${conversation.name}`, reason);
    const items = conversation.fresh.flatMap((node): Item[] => {
      try {
        return [{ ...node, content: contentOf(node.message, fileHere) }];
      } catch (error) {
        if (!(error instanceof Unfit)) throw error;
        leave(node, error.message);
        return [];
      }
    });
    if (dryRun) return items;
    const rows = await importing.db.prisma.chatMessage.findMany({ where: { sessionId }, select: { id: true } });
    const there = new Set(rows.map(({ id }) => id));
    const places = placesOf(conversation, items);
    return items.filter((item) => {
      const top = places.get(item.message.message_id)?.top ?? null;
      if (top === null || there.has(top)) return true;
      leave(item, 'the message that it answers was deleted here');
      return false;
    });
  }

  /** Writes messages below an existing message or the root, with all of their descendants. */
  async function writeUnder(
    transaction: Transaction,
    session: { sessionId: string; userId: string; under: number },
    items: readonly Item[],
    places: ReadonlyMap<number, Place>,
    { files, choices }: Conversation,
  ): Promise<string[]> {
    const index = new Map(items.map(({ message }, position) => [message.message_id, position]));
    const parentOf = ({ message }: Item): number | null => places.get(message.message_id)?.parent ?? null;
    const parents = items.map((item) => index.get(parentOf(item) ?? Number.NaN) ?? null);
    let before = new Date();
    const messages = items.map(({ message, content }, position): NewMessage => {
      before = message.time_sent ?? before;
      return { ...content, parent: parents[position] ?? null, createdAt: before };
    });
    // The last of its children, unless the message selects one.
    const latest = new Map(parents.map((parent, position) => [parent, position]));
    const choose = (position: number | null, id: number | null) => {
      const chosen = index.get(nextOf(id, choices, (next) => index.has(next)) ?? Number.NaN);
      if (chosen !== undefined && parents[chosen] === position) latest.set(position, chosen);
    };
    if (items[0]) choose(null, parentOf(items[0]));
    items.forEach(({ message }, position) => {
      choose(position, message.message_id);
    });
    const ids = await writeMessages(transaction, session, messages, latest);
    for (const [position, { message }] of items.entries()) {
      const given = files.get(message.message_id) ?? [];
      const preferred = index.get(message.preferred_response_id ?? Number.NaN);
      const answered = preferred !== undefined && parents[preferred] === position;
      if (given.length === 0 && !answered) continue;
      await transaction.chatMessage.update({
        where: { id: ids[position] ?? 0 },
        data: {
          files: { connect: given.map((id) => ({ id })) },
          ...(answered && { preferredResponseId: ids[preferred] ?? null }),
        },
      });
    }
    return ids.map(String);
  }

  /** Writes all new messages of one session in one transaction. */
  async function bringMessages(sessionId: string, conversation: Conversation): Promise<void> {
    const { id, name } = conversation;
    await ledger.bringAll('message', {
      items: await fitOf(sessionId, conversation),
      idOf: ({ message }) => keyOf(id, message.message_id),
      nameOf: ({ message }) => `${message.message_id} of chat ${name}`,
      async work(transaction, items) {
        const { userId } = await endOf(transaction, sessionId);
        const root = await transaction.chatMessage.findFirstOrThrow({
          where: { sessionId, parentId: null },
          select: { id: true },
        });
        const places = placesOf(conversation, items);
        const subtrees = new Map<number, Item[]>();
        for (const item of items) {
          const under = places.get(item.message.message_id)?.top ?? root.id;
          const subtree = subtrees.get(under);
          if (subtree) subtree.push(item);
          else subtrees.set(under, [item]);
        }
        const made = new Map<number, string>();
        for (const [under, subtree] of subtrees) {
          const ids = await writeUnder(transaction, { sessionId, userId, under }, subtree, places, conversation);
          subtree.forEach(({ message }, position) => {
            made.set(message.message_id, ids[position] ?? '');
          });
        }
        const times = items.map(({ message }) => message.time_sent?.getTime() ?? 0);
        await usedAt(transaction, sessionId, new Date(times.reduce((one, other) => Math.max(one, other), 0)));
        return items.map(({ message }) => made.get(message.message_id) ?? '');
      },
    });
  }

  async function agentOf(transaction: Transaction, personaId: number | null, name: string): Promise<number> {
    const id = Number(ledger.targetOf('agent', personaId ?? 0) || 0);
    const there = id === 0 || (await transaction.agent.count({ where: { id } })) > 0;
    if (personaId !== null && personaId > 0 && (id === 0 || !there))
      report.changed(`chat ${name}`, 'continues with the built-in agent because its agent does not exist here');
    return there ? id : 0;
  }

  async function bringOne(ref: SessionRef): Promise<void> {
    const called = ref.name ?? ref.id;
    const { data } = Session.safeParse(await client.readIfThere(`/chat/get-chat-session/${ref.id}`, [403]));
    if (!data) {
      report.leave(`chat ${called}`, 'cannot be read');
      return;
    }
    const personaId = data.persona_id ?? ref.persona_id;
    if (ledger.targetOf('session', ref.id) === undefined && failedAgents.has(personaId ?? 0))
      throw new Error('is imported together with its agent');
    const messages = data.messages.flatMap((entry) => Message.safeParse(entry).data ?? []);
    if (messages.length < data.messages.length)
      report.leave(
        `${data.messages.length - messages.length} messages of chat ${called}`,
        'do not have the form of messages',
      );
    const { nodes, circular } = treeOf(messages);
    if (circular > 0) report.leave(`${circular} messages of chat ${called}`, 'refer to each other in a cycle');
    const fresh = nodes.filter(({ message }) => messageHere(ref.id, message.message_id) === undefined);
    const files = new Map<number, string[]>();
    for (const { message } of fresh)
      if (message.files.length > 0 && !dryRun)
        files.set(message.message_id, await importFiles(importing, client, message.files));

    const name = nameOf(data.description ?? ref.name, 500);
    const projectId = projects.projectOf.get(ref.id);
    const begun = data.time_created ?? ref.time_created ?? messages[0]?.time_sent ?? new Date();
    const target = await ledger.bring('session', {
      id: ref.id,
      name: name ?? ref.id,
      async work(transaction) {
        await userStillHere(transaction, operator.userId);
        const model = data.current_alternate_model ? services.models.find(data.current_alternate_model) : null;
        const { current_temperature_override: temperature } = data;
        const session = await writeSession(transaction, {
          id: ref.id,
          userId: operator.userId,
          agentId: await agentOf(transaction, personaId, name ?? ref.id),
          projectId: projectId === undefined ? null : Number(ledger.targetOf('project', projectId)),
          name,
          sharing: data.shared_status === 'public' ? 'PUBLIC' : 'PRIVATE',
          model: model?.modelId ?? null,
          temperature: temperature !== null && temperature >= 0 && temperature <= 2 ? temperature : null,
          createdAt: begun,
          updatedAt: ref.time_updated ?? nodes.at(-1)?.message.time_sent ?? begun,
        });
        return session.id;
      },
    });
    if (target === null || fresh.length === 0) return;
    await bringMessages(target, {
      id: ref.id,
      name: name ?? ref.id,
      fresh,
      files,
      parents: new Map(nodes.map(({ message, parent }) => [message.message_id, parent])),
      choices: choicesOf(messages),
    });
  }

  for (const ref of all.values()) {
    ledger.step('session', all.size);
    if (projects.withheld.has(ref.id) && ledger.targetOf('session', ref.id) === undefined) continue;
    await orReport(report, `chat ${ref.name ?? ref.id}`, () => bringOne(ref));
  }
}
