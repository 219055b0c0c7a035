import type { Prisma } from '../../../generated/prisma/client.ts';
import { fileLink } from '../../knowledge/knowledge.service.ts';
import { type Importing, userStillHere } from '../importing.ts';
import { Unfit } from '../ledger.ts';
import { cutTo, messageText } from '../text.ts';
import { endOf, type NewMessage, usedAt, writeMessages, writeSession } from '../writing.ts';
import { type OnyxClient, orReport } from './client.ts';
import { importFiles } from './files.ts';
import type { ProjectChats } from './projects.ts';
import { Message, nameOf, type Passage, Session, SessionPage, SessionRef } from './shapes.ts';

type Transaction = Prisma.TransactionClient;

/** Pages of sessions that are asked for at most: a server that says it has more for ever is not believed. */
const mostPages = 10_000;
/** How many passages an answer keeps. */
const mostPassages = 50;

/** All sessions of the key's user. Servers that know no pages give all of them at once. */
async function listSessions({ report }: Importing, client: OnyxClient): Promise<SessionRef[]> {
  const found = new Map<string, SessionRef>();
  const query = 'only_non_project_chats=false&include_failed_chats=false&page_size=100';
  for (let before = '', pages = 0; pages < mostPages; pages++) {
    const path = `/chat/get-user-chat-sessions?${query}${before && `&before=${encodeURIComponent(before)}`}`;
    const page = SessionPage.safeParse(await client.readIfThere(path));
    if (!page.success) {
      report.leave('chats', 'are not listed for this key');
      break;
    }
    const sessions = page.data.sessions.flatMap((entry) => SessionRef.safeParse(entry).data ?? []);
    const unread = page.data.sessions.length - sessions.length;
    if (unread > 0) report.leave(`${unread} chats`, 'are not described as chats');
    const fresh = sessions.filter(({ id }) => !found.has(id));
    for (const session of fresh) found.set(session.id, session);
    const last = sessions.at(-1)?.time_updated;
    if (!page.data.has_more || fresh.length === 0 || !last) break;
    // A millisecond later, so that one of the same time as the last is not passed over.
    before = new Date(last.getTime() + 1).toISOString();
  }
  return [...found.values()];
}

/** What was brought, by what it was called there. */
type FileHere = (id: string) => string | undefined;

/** The documents that an answer cites, by number: by id, or, of older servers, by the number of one of its passages. */
function citationsOf({ citations, context_docs: passages }: Message, fileHere: FileHere) {
  return Object.entries(citations).flatMap(([key, value]) => {
    const number = Number(key);
    const documentId =
      typeof value === 'string' ? value : passages.find((passage) => passage.db_doc_id === value)?.document_id;
    return Number.isInteger(number) && number > 0 && number < 10_000 && documentId
      ? [{ number, documentId: fileHere(documentId) ?? cutTo(documentId, 500) }]
      : [];
  });
}

/** The passages that an answer was given, under the numbers that it cites them by. */
function passagesOf(
  passages: readonly Passage[],
  cited: readonly { number: number; documentId: string }[],
  fileHere: FileHere,
) {
  const numbers = new Map(cited.map(({ number, documentId }) => [documentId, number]));
  return passages.slice(0, mostPassages).map((passage): Prisma.InputJsonObject => {
    const file = fileHere(passage.document_id);
    const documentId = file ?? cutTo(passage.document_id, 500);
    const number = numbers.get(documentId) ?? Math.max(0, ...numbers.values()) + 1;
    numbers.set(documentId, number);
    // A file that is not here is nobody's to take back: its passages stay with who was told of them.
    const source = cutTo(passage.source_type ?? '', 50) || 'onyx';
    return {
      documentId,
      number,
      chunkId: 0,
      position: passage.chunk_ind ?? 0,
      title: cutTo(passage.semantic_identifier ?? '', 500) || documentId,
      heading: '',
      link: file ? fileLink(file) : passage.link,
      text: cutTo(passage.blurb ?? '', 20_000),
      source: source === 'user_file' && !file ? 'file' : source,
      metadata: {},
      score: Math.min(Math.max(passage.score ?? 0, 0), 1),
      updatedAt: passage.updated_at?.toISOString() ?? null,
      highlights: [],
    };
  });
}

/** A message of the tree, and where it hangs. */
interface Node {
  message: Message;
  /** The id there of the message that it hangs from; null: the root. */
  parent: number | null;
}

/** What is new in a session. */
interface Conversation {
  fresh: Node[];
  /** The files here of each message, by its id there. */
  files: ReadonlyMap<number, string[]>;
  /** What each message of the session hangs from there. */
  parents: ReadonlyMap<number, number | null>;
  /** The child that the current branch goes on with there, by the id of its parent; null: the root. */
  chosenUnder: ReadonlyMap<number | null, number | null>;
}

/**
 * What people and models said, parents before children. What stands between them, such as the answers of tools, is
 * passed over: what hangs from it hangs from what that hangs from. So does what hangs from nothing that was read.
 */
function treeOf(messages: readonly Message[]): Node[] {
  const byId = new Map(messages.map((message) => [message.message_id, message]));
  const spoken = ({ message_type: type }: Message) => type === 'user' || type === 'assistant';
  const parentOf = (message: Message): number | null => {
    const passed = new Set<number>();
    for (let id = message.parent_message; id !== null && !passed.has(id); ) {
      passed.add(id);
      const parent = byId.get(id);
      if (!parent) return null;
      if (spoken(parent)) return id;
      id = parent.parent_message;
    }
    return null;
  };
  const children = new Map<number | null, Message[]>();
  for (const message of byId.values())
    if (spoken(message)) {
      const parent = parentOf(message);
      children.set(parent, [...(children.get(parent) ?? []), message]);
    }
  const nodes: Node[] = [];
  const queue: (number | null)[] = [null];
  for (const parent of queue)
    for (const message of children.get(parent) ?? []) {
      nodes.push({ message, parent });
      queue.push(message.message_id);
    }
  return nodes;
}

/** A message as it is written; Unfit for one that is too long. */
function written({ message }: Node, place: number | null, before: Date, fileHere: FileHere): NewMessage {
  const linked = (message.message ?? '').replace(/\/api\/chat\/file\/([0-9a-f-]{36})/g, (link, id: string) => {
    const file = fileHere(id);
    return file ? fileLink(file) : link;
  });
  const common = { parent: place, text: messageText(linked), createdAt: message.time_sent ?? before };
  if (message.message_type === 'user') return { role: 'USER', ...common };
  const citations = citationsOf(message, fileHere);
  const seconds = message.processing_duration_seconds;
  const { current_feedback: feedback } = message;
  return {
    role: 'ASSISTANT',
    ...common,
    status: message.error === null ? 'COMPLETE' : 'FAILED',
    error: message.error === null ? null : cutTo(message.error, 2000),
    reasoning: message.reasoning_tokens === null ? null : messageText(message.reasoning_tokens),
    model: nameOf(message.model_display_name, 200),
    durationMs: seconds !== null && seconds >= 0 && seconds < 86_400 ? Math.round(seconds * 1000) : null,
    passages: passagesOf(message.context_docs, citations, fileHere),
    citations,
    liked: feedback === 'like' ? true : feedback === 'dislike' ? false : null,
  };
}

/** Brings the chats of the key's user with their trees of messages; of those that are here, what was said since. */
export async function importChats(importing: Importing, client: OnyxClient, projects: ProjectChats): Promise<void> {
  const { services, operator, ledger, report, dryRun } = importing;
  const listed = await listSessions(importing, client);
  const all = new Map([...projects.sessions, ...listed].map((session) => [session.id, session]));

  /** What a message that hangs from this one hangs from here; undefined for one that is not here. */
  const messageHere = (id: number | null) => (id === null ? undefined : ledger.targetOf('message', id));

  /** Writes those of the nodes that hang from one message that is here, or from the root, with all that hangs from them. */
  async function writeUnder(
    transaction: Transaction,
    session: { id: string; userId: string },
    under: number,
    nodes: readonly Node[],
    { files, chosenUnder }: Pick<Conversation, 'files' | 'chosenUnder'>,
  ): Promise<string[]> {
    const places = new Map(nodes.map(({ message }, place) => [message.message_id, place]));
    const parents = nodes.map(({ parent }) => (parent === null ? null : (places.get(parent) ?? null)));
    let before = new Date();
    const messages = nodes.map((node, place) => {
      const next = written(node, parents[place] ?? null, before, (id) => ledger.targetOf('file', id));
      before = next.createdAt;
      return next;
    });
    const latest = new Map<number | null, number>();
    // The last of its children, unless it says which one.
    parents.forEach((parent, place) => {
      latest.set(parent, place);
    });
    nodes.forEach(({ message }, place) => {
      const chosen = places.get(message.latest_child_message ?? Number.NaN);
      if (chosen !== undefined && parents[chosen] === place) latest.set(place, chosen);
      if (parents[place] === null && chosenUnder.get(nodes[place]?.parent ?? null) === message.message_id)
        latest.set(null, place);
    });
    const ids = await writeMessages(
      transaction,
      { sessionId: session.id, userId: session.userId, under },
      messages,
      latest,
    );
    for (const [place, { message }] of nodes.entries()) {
      const given = files.get(message.message_id) ?? [];
      const preferred = message.preferred_response_id === null ? undefined : places.get(message.preferred_response_id);
      if (given.length === 0 && (preferred === undefined || parents[preferred] !== place)) continue;
      await transaction.chatMessage.update({
        where: { id: ids[place] ?? 0 },
        data: {
          files: { connect: given.map((id) => ({ id })) },
          ...(preferred !== undefined &&
            parents[preferred] === place && { preferredResponseId: ids[preferred] ?? null }),
        },
      });
    }
    return ids.map(String);
  }

  async function agentOf(transaction: Transaction, personaId: number | null, name: string): Promise<number> {
    const id = Number(ledger.targetOf('agent', personaId ?? 0) || 0);
    const there = id === 0 || (await transaction.agent.count({ where: { id } })) > 0;
    if (personaId !== null && personaId > 0 && (id === 0 || !there))
      report.changed(`chat ${name}`, 'goes on with the built-in agent, since its own is not here');
    return there ? id : 0;
  }

  async function bringOne(ref: SessionRef): Promise<void> {
    const read = Session.safeParse(await client.readIfThere(`/chat/get-chat-session/${ref.id}`));
    if (!read.success) {
      report.leave(`chat ${ref.name ?? ref.id}`, 'cannot be read');
      return;
    }
    const { data } = read;
    const messages = data.messages.flatMap((entry) => Message.safeParse(entry).data ?? []);
    if (messages.length < data.messages.length)
      report.leave(
        `${data.messages.length - messages.length} messages of chat ${ref.name ?? ref.id}`,
        'are not described as messages',
      );
    const nodes = treeOf(messages);
    const fresh = nodes.filter(({ message }) => messageHere(message.message_id) === undefined);
    const files = new Map<number, string[]>();
    for (const { message } of fresh)
      if (message.files.length > 0 && !dryRun)
        files.set(message.message_id, await importFiles(importing, client, message.files));

    const name = nameOf(data.description ?? ref.name, 500);
    const projectId = projects.projectOf.get(ref.id);
    const begun = data.time_created ?? ref.time_created ?? messages[0]?.time_sent ?? new Date();
    const target = await ledger.bring('session', ref.id, name ?? ref.id, async (transaction) => {
      await userStillHere(transaction, operator.userId);
      const model = data.current_alternate_model ? services.models.find(data.current_alternate_model) : null;
      const { current_temperature_override: temperature } = data;
      const session = await writeSession(transaction, {
        id: ref.id,
        userId: operator.userId,
        agentId: await agentOf(transaction, data.persona_id ?? ref.persona_id, name ?? ref.id),
        projectId: projectId === undefined ? null : Number(ledger.targetOf('project', projectId)),
        name,
        sharing: data.shared_status === 'public' ? 'PUBLIC' : 'PRIVATE',
        model: model?.modelId ?? null,
        temperature: temperature !== null && temperature >= 0 && temperature <= 2 ? temperature : null,
        createdAt: begun,
        updatedAt: ref.time_updated ?? nodes.at(-1)?.message.time_sent ?? begun,
      });
      return session.id;
    });
    if (target === null || fresh.length === 0) return;
    await bringMessages(target, name ?? ref.id, {
      fresh,
      files,
      parents: new Map(nodes.map(({ message, parent }) => [message.message_id, parent])),
      chosenUnder: new Map(
        messages.map((message) => [
          message.message_type === 'system' && message.parent_message === null ? null : message.message_id,
          message.latest_child_message,
        ]),
      ),
    });
  }

  /** All that is new in one session, in one transaction. */
  async function bringMessages(sessionId: string, name: string, conversation: Conversation): Promise<void> {
    const { fresh, parents } = conversation;
    await ledger.bringAll('message', {
      items: fresh,
      idOf: ({ message }) => String(message.message_id),
      nameOf: ({ message }) => `${message.message_id} of chat ${name}`,
      async work(transaction, items) {
        const { userId } = await endOf(transaction, sessionId);
        const session = { id: sessionId, userId };
        const root = await transaction.chatMessage.findFirstOrThrow({
          where: { sessionId, parentId: null },
          select: { id: true },
        });
        // Each subtree under the message that it hangs from here: the root, or one that was brought before. Where that one
        // could not be brought, under what it hangs from.
        const subtrees = new Map<number, Node[]>();
        const under = new Map<number, number>();
        for (const node of items) {
          let parent = node.parent;
          while (parent !== null && !under.has(parent) && !messageHere(parent)) parent = parents.get(parent) ?? null;
          const top = (parent === null ? undefined : under.get(parent)) ?? Number(messageHere(parent) ?? root.id);
          under.set(node.message.message_id, top);
          subtrees.set(top, [...(subtrees.get(top) ?? []), node]);
        }
        const made = new Map<number, string>();
        for (const [top, nodes] of subtrees) {
          if ((await transaction.chatMessage.count({ where: { id: top, sessionId } })) === 0)
            throw new Unfit('what it answers was deleted here');
          const ids = await writeUnder(transaction, session, top, nodes, conversation);
          nodes.forEach(({ message }, index) => {
            made.set(message.message_id, ids[index] ?? '');
          });
        }
        const times = items.flatMap(({ message }) => message.time_sent?.getTime() ?? []);
        if (times.length > 0) await usedAt(transaction, sessionId, new Date(Math.max(...times)));
        return items.map(({ message }) => made.get(message.message_id) ?? '');
      },
    });
  }

  for (const ref of all.values()) {
    ledger.step('session', all.size);
    await orReport(report, `chat ${ref.name ?? ref.id}`, () => bringOne(ref));
  }
}
