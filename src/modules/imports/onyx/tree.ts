import type { Message } from './shapes.ts';

/** A message of the tree with its parent. */
export interface Node {
  message: Message;
  /** The source ID of the parent; null: the root. */
  parent: number | null;
}

/** Groups messages by parent; null: the root. */
function byParent(messages: Iterable<Message>, parentOf: (message: Message) => number | null) {
  const children = new Map<number | null, Message[]>();
  for (const message of messages) {
    const parent = parentOf(message);
    const siblings = children.get(parent);
    if (siblings) siblings.push(message);
    else children.set(parent, [message]);
  }
  return children;
}

/**
 * Returns the messages of people and models, parents before children. Other messages, such as tool results, are
 * bridged: their children get their parent. The same applies to children of messages that could not be read. `circular`
 * is the number of messages that form a cycle.
 */
export function treeOf(messages: readonly Message[]): { nodes: Node[]; circular: number } {
  const byId = new Map(messages.map((message) => [message.message_id, message]));
  const isSpoken = ({ message_type: type }: Message) => type === 'user' || type === 'assistant';
  const parentOf = (message: Message): number | null => {
    const passed = new Set<number>();
    for (let id = message.parent_message; id !== null && !passed.has(id); ) {
      passed.add(id);
      const parent = byId.get(id);
      if (!parent) return null;
      if (isSpoken(parent)) return id;
      id = parent.parent_message;
    }
    return null;
  };
  const spoken = [...byId.values()].filter(isSpoken);
  const children = byParent(spoken, parentOf);
  const nodes: Node[] = [];
  const queue: (number | null)[] = [null];
  for (const parent of queue)
    for (const message of children.get(parent) ?? []) {
      nodes.push({ message, parent });
      queue.push(message.message_id);
    }
  return { nodes, circular: spoken.length - nodes.length };
}

/** The child on the current branch in the source, by the ID of its parent; null: the root. */
export type Choices = ReadonlyMap<number | null, number | null>;

export const choicesOf = (messages: readonly Message[]): Choices =>
  new Map(
    messages.map((message) => [
      message.message_type === 'system' && message.parent_message === null ? null : message.message_id,
      message.latest_child_message,
    ]),
  );

/** Returns the next message of the current branch after a message, skipping messages that are not imported. */
export function nextOf(id: number | null, choices: Choices, comes: (id: number) => boolean): number | null {
  const passed = new Set<number>();
  let next = choices.get(id) ?? null;
  while (next !== null && !comes(next) && !passed.has(next)) {
    passed.add(next);
    next = choices.get(next) ?? null;
  }
  return next;
}
