import type { Principal } from '../../authz/principal.ts';
import type { ChatMessage, Prisma } from '../../generated/prisma/client.ts';
import type { Database } from '../../store/database.ts';
import type { KnowledgeService } from '../knowledge/knowledge.service.ts';

/** The JSON that a message stores about its passages and citations. */
type References = Pick<ChatMessage, 'passages' | 'citations'>;
type Message = References & Pick<ChatMessage, 'sessionId'>;

/** The documents that a message can name, and whether it can name all of them. */
interface Known {
  ownSessions: ReadonlySet<string>;
  documents: ReadonlySet<string>;
}

const documentsOf = (references: Prisma.JsonValue) => references as { documentId: string; source?: string }[];
const named = ({ passages, citations }: References): string[] =>
  [...documentsOf(passages), ...documentsOf(citations)].map(({ documentId }) => documentId);

/** Returns the files of a message. Removing or deleting a file also removes its text here. */
const filesOf = ({ passages }: References): string[] =>
  documentsOf(passages)
    .filter(({ source }) => source === 'user_file')
    .map(({ documentId }) => documentId);

/**
 * Creates a loader for the passages and citations of messages as their reader can see them: in an own session, all of
 * them except files that the reader can no longer read; in a session of another user, or for a project token, only
 * documents that the reader can read. Uses two statements for all messages of a request.
 */
export function messageReferences(db: Database, knowledge: KnowledgeService) {
  const gathering = new WeakMap<Principal, { messages: Message[]; known: Promise<Known> }>();

  async function look(principal: Principal, messages: readonly Message[]): Promise<Known> {
    const ids = [...new Set(messages.map(({ sessionId }) => sessionId))];
    const own =
      principal.credential.projectId === null
        ? await db.prisma.chatSession.findMany({
            where: { id: { in: ids }, userId: principal.userId },
            select: { id: true },
          })
        : [];
    const ownSessions = new Set(own.map(({ id }) => id));
    const doubtful = messages.flatMap((message) => (ownSessions.has(message.sessionId) ? filesOf : named)(message));
    return { ownSessions, documents: await knowledge.readable(principal, doubtful) };
  }

  function gather(principal: Principal, message: Message): Promise<Known> {
    let batch = gathering.get(principal);
    if (!batch) {
      const messages: Message[] = [];
      const known = new Promise((resolve) => setImmediate(resolve)).then(() => {
        gathering.delete(principal);
        return look(principal, messages);
      });
      batch = { messages, known };
      gathering.set(principal, batch);
    }
    batch.messages.push(message);
    return batch.known;
  }

  return async (principal: Principal, message: Message): Promise<References> => {
    if (named(message).length === 0) return message;
    const { ownSessions, documents } = await gather(principal, message);
    const doubtful = new Set(ownSessions.has(message.sessionId) ? filesOf(message) : named(message));
    const only = (references: Prisma.JsonValue) =>
      documentsOf(references).filter(({ documentId }) => !doubtful.has(documentId) || documents.has(documentId));
    return { passages: only(message.passages), citations: only(message.citations) };
  };
}
