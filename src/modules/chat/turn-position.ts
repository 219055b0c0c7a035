import { can, type Principal } from '../../authz/principal.ts';
import { badInput } from '../../errors.ts';
import type { ChatMessage, ChatSession, Prisma } from '../../generated/prisma/client.ts';
import { mainline, root } from './tree.ts';
import type { Parent } from './turn-input.ts';

const elsewhere = () =>
  badInput(['input', 'parent', 'messageId'], 'The new message sent is not on the latest mainline of messages');

/** The fields of earlier messages that a turn needs. */
export const spoken = { id: true, parentId: true, latestChildId: true, role: true, text: true } as const;
export type Spoken = Pick<ChatMessage, keyof typeof spoken>;

/**
 * Returns the position of the turn in the tree: the message that it follows, and whether that is a question to
 * regenerate.
 */
function place(
  messages: readonly Spoken[],
  { startOver, messageId }: Partial<Parent>,
): { path: Spoken[]; regenerates: boolean } {
  const line = mainline(messages);
  if (startOver || messageId === root(messages).id) return { path: [root(messages)], regenerates: false };
  if (messageId == null) return { path: line, regenerates: false };
  const at = line.findIndex((message) => message.id === messageId);
  if (at < 0) throw elsewhere();
  return { path: line.slice(0, at + 1), regenerates: line[at]?.role === 'USER' };
}

/**
 * Returns the earlier messages of a session that the model receives in a turn, or null for all of them. Answers
 * reveal earlier messages, and the name of a chat can be guessed, unlike the ID of a session. In a chat that was
 * located by name, a caller without `read:chat` therefore continues only the messages of the same credential. All
 * login sessions of a person count as one.
 */
async function ownWords(
  transaction: Prisma.TransactionClient,
  principal: Principal,
  { id, slug, clientKey }: ChatSession,
): Promise<ReadonlySet<number> | null> {
  const { kind, tokenId } = principal.credential;
  const named = slug !== null || clientKey !== null;
  if (!named || can(principal, 'read:chat') || kind === 'SESSION') return null;
  const answers = await transaction.chatMessage.findMany({
    where: { sessionId: id, run: { tokenId } },
    select: { id: true, parentId: true },
  });
  return new Set(answers.flatMap(({ id, parentId }) => (parentId === null ? [id] : [id, parentId])));
}

/** The position of a turn in the message tree. */
export interface Position {
  /** The message that the turn follows, or the question that is answered again. */
  parent: Spoken;
  /** True when `parent` is a question that is answered again. */
  regenerates: boolean;
  /** The messages before the question that the caller can read, oldest first. */
  earlier: Spoken[];
}

/**
 * Returns the position of a turn in a session: the end of the current branch without `at`. Throws BAD_USER_INPUT for a
 * message that is not on the current branch or that the caller cannot read.
 */
export async function findPosition(
  transaction: Prisma.TransactionClient,
  principal: Principal,
  { session, created }: { session: ChatSession; created: boolean },
  at: Partial<Parent>,
): Promise<Position> {
  const messages = await transaction.chatMessage.findMany({
    where: { sessionId: session.id },
    orderBy: { id: 'asc' },
    select: spoken,
  });
  const own = created ? null : await ownWords(transaction, principal, session);
  const { path, regenerates } = place(messages, at);
  const parent = path.at(-1) ?? root(messages);
  if (regenerates && own?.has(parent.id) === false) throw elsewhere();
  const earlier = (regenerates ? path.slice(0, -1) : path).filter(({ id }) => own?.has(id) ?? true);
  return { parent, regenerates, earlier };
}
