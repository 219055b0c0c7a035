import type { MessageStatus, Prisma } from '../../generated/prisma/client.ts';
import { createSession } from '../chat/tree.ts';
import { Unfit } from './ledger.ts';

type Transaction = Prisma.TransactionClient;

/** A message to write; `parent` is the index of its parent in the same list, null: the root. */
export interface NewMessage {
  role: 'USER' | 'ASSISTANT';
  parent: number | null;
  text: string;
  createdAt: Date;
  status?: MessageStatus;
  error?: string | null;
  reasoning?: string | null;
  model?: string | null;
  durationMs?: number | null;
  passages?: Prisma.InputJsonArray;
  citations?: Prisma.InputJsonArray;
  /** The reader's rating. */
  liked?: boolean | null;
}

/** Number of rows per INSERT; PostgreSQL allows 65,535 values in a statement. */
const insertSize = 1000;

/** Reserves IDs of the messages table, so that messages can refer to each other before they are written. */
async function reserveIds(transaction: Transaction, number: number): Promise<number[]> {
  const rows = await transaction.$queryRaw<{ id: number }[]>`
    SELECT nextval(pg_get_serial_sequence('"ChatMessage"', 'id'))::int AS id FROM generate_series(1, ${number}::int)`;
  return rows.map(({ id }) => id).sort((a, b) => a - b);
}

/**
 * Writes messages in an order where parents come first. `under` is the parent of messages without one, and `latest`
 * maps the index of a parent (null: the message `under`) to the index of the child on the current branch. Returns the
 * IDs in the same order.
 */
export async function writeMessages(
  transaction: Transaction,
  { sessionId, userId, under }: { sessionId: string; userId: string; under: number },
  messages: readonly NewMessage[],
  latest: ReadonlyMap<number | null, number>,
): Promise<number[]> {
  const ids = await reserveIds(transaction, messages.length);
  const at = (place: number): number => {
    const id = ids[place];
    if (id === undefined) throw new Error('a message without an id');
    return id;
  };
  const childOf = (place: number | null): number | null => {
    const child = latest.get(place);
    return child === undefined ? null : at(child);
  };
  const rows = messages.map(({ parent, liked: _liked, ...message }, place) => ({
    ...message,
    id: at(place),
    sessionId,
    parentId: parent === null ? under : at(parent),
    latestChildId: childOf(place),
  }));
  for (let from = 0; from < rows.length; from += insertSize)
    await transaction.chatMessage.createMany({ data: rows.slice(from, from + insertSize) });
  await transaction.feedback.createMany({
    data: messages.flatMap(({ liked }, place) =>
      liked == null ? [] : [{ messageId: at(place), userId, positive: liked }],
    ),
  });
  const first = childOf(null);
  // A branch that was selected or continued here stays current.
  if (first !== null)
    await transaction.chatMessage.updateMany({
      where: { id: under, latestChildId: null },
      data: { latestChildId: first },
    });
  return ids;
}

/**
 * Returns a message of an imported session at the end of its current branch. Throws UnimportableError for a session
 * that was deleted.
 */
export async function endOf(transaction: Transaction, sessionId: string): Promise<{ id: number; userId: string }> {
  await transaction.$queryRaw`SELECT 1 FROM "ChatSession" WHERE "id" = ${sessionId}::uuid FOR UPDATE`;
  const session = await transaction.chatSession.findFirst({ where: { id: sessionId, deletedAt: null } });
  const [end] = await transaction.$queryRaw<{ id: number }[]>`
    WITH RECURSIVE line AS (
      SELECT "id", "latestChildId", 0 AS place FROM "ChatMessage"
      WHERE "sessionId" = ${sessionId}::uuid AND "parentId" IS NULL
      UNION ALL
      SELECT m."id", m."latestChildId", line.place + 1
      FROM line JOIN "ChatMessage" m ON m."id" = line."latestChildId" AND m."parentId" = line."id")
    SELECT "id" FROM line ORDER BY place DESC LIMIT 1`;
  if (!session || !end) throw new Unfit('its chat was deleted here');
  return { id: end.id, userId: session.userId };
}

/** The values of an imported session. */
export interface SessionOfOld {
  userId: string;
  agentId: number;
  projectId?: number | null;
  name: string | null;
  /** The ID in the source, which it keeps if possible. */
  id?: string;
  slug?: string | null;
  clientKey?: string | null;
  sharing?: 'PRIVATE' | 'PUBLIC';
  model?: string | null;
  temperature?: number | null;
  createdAt: Date;
  updatedAt: Date;
}

/** Writes a session with its root. It keeps its ID, slug and client key if they are not in use. */
export async function writeSession(
  transaction: Transaction,
  wanted: SessionOfOld,
): Promise<{ id: string; root: number }> {
  const { id, slug, clientKey, projectId, userId, agentId, ...rest } = wanted;
  const { chatSession } = transaction;
  const free = async (where: Prisma.ChatSessionWhereInput) => (await chatSession.count({ where })) === 0;
  const keeps = {
    ...(id !== undefined && (await free({ id })) && { id }),
    ...(slug != null && (await free({ slug })) && { slug }),
    ...(clientKey != null && (await free({ userId, agentId, clientKey })) && { clientKey }),
  };
  const columns = { ...rest, ...keeps, userId, agentId, projectId: projectId ?? null };
  const session = await createSession(transaction, columns);
  const root = await transaction.chatMessage.findFirstOrThrow({
    where: { sessionId: session.id, parentId: null },
    select: { id: true },
  });
  return { id: session.id, root: root.id };
}

/** Sets the time when a session was last used to that of its last message in the source. */
export const usedAt = (transaction: Transaction, id: string, at: Date) =>
  transaction.$executeRaw`UPDATE "ChatSession" SET "updatedAt" = ${at} WHERE "id" = ${id}::uuid AND "updatedAt" < ${at}`;
