import type { Ledger } from '../ledger.ts';
import type { Choices, Node } from './tree.ts';

/** The new messages of a session. */
export interface Conversation {
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
export interface Place {
  /** The source ID of the parent; null: the root. */
  parent: number | null;
  /** The new ID of the parent of the subtree that is written together; null: the root. */
  top: number | null;
}

/** Returns the key of a message: a new installation of Onyx at the same address numbers its messages from 1 again. */
export const messageKey = (session: string, id: number): string => `${session}:${id}`;

/** Returns the new ID of an imported message, or undefined. */
export const messageHere = (ledger: Ledger, session: string, id: number): string | undefined =>
  ledger.targetOf('message', messageKey(session, id));

/** Returns the positions of messages of the same list. Skipped messages are bridged. */
export function placesOf(
  ledger: Ledger,
  { id: session, parents }: Conversation,
  items: readonly Node[],
): Map<number, Place> {
  const places = new Map<number, Place>();
  for (const node of items) {
    let { parent } = node;
    while (parent !== null && !places.has(parent) && messageHere(ledger, session, parent) === undefined)
      parent = parents.get(parent) ?? null;
    const above = parent === null ? { top: null } : places.get(parent);
    const top = above ? above.top : Number(messageHere(ledger, session, parent ?? 0));
    places.set(node.message.message_id, { parent, top });
  }
  return places;
}
