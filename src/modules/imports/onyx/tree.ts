import type { Message } from './shapes.ts';

/** A message of the tree, and where it hangs. */
export interface Node {
  message: Message;
  /** The id there of the message that it hangs from; null: the root. */
  parent: number | null;
}

/** The messages by what they hang from; null: the root. */
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
 * What people and models said, parents before children. What stands between them, such as the answers of tools, is
 * passed over: what hangs from it hangs from what that hangs from. So does what hangs from nothing that was read.
 * `circular` is how many hang from one another, and so from nowhere.
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

/** The child that the current branch goes on with there, by the id of its parent; null: the root. */
export type Choices = ReadonlyMap<number | null, number | null>;

export const choicesOf = (messages: readonly Message[]): Choices =>
  new Map(
    messages.map((message) => [
      message.message_type === 'system' && message.parent_message === null ? null : message.message_id,
      message.latest_child_message,
    ]),
  );

/** What the current branch goes on with after a message, of those that come; what does not is passed over. */
export function nextOf(id: number | null, choices: Choices, comes: (id: number) => boolean): number | null {
  const passed = new Set<number>();
  let next = choices.get(id) ?? null;
  while (next !== null && !comes(next) && !passed.has(next)) {
    passed.add(next);
    next = choices.get(next) ?? null;
  }
  return next;
}
