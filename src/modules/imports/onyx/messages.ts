import type { Prisma } from '../../../generated/prisma/client.ts';
import { fileLink } from '../../knowledge/file-documents.ts';
import type { NewMessage } from '../message-writer.ts';
import { cutTo, messageText } from '../text.ts';
import { type Message, nameOf, type Passage } from './shapes.ts';

/** Maximum number of passages of an answer. */
const maxPassages = 50;

/** Returns the new ID of a file by its source ID. */
export type FileHere = (id: string) => string | undefined;

/**
 * Returns the documents that an answer cites, by number: by ID or, for older servers, by the number of one of its
 * passages.
 */
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

/** Returns the first 100 names, up to 500 characters each. */
const ownersOf = (names: readonly string[]): string[] => names.slice(0, 100).map((name) => cutTo(name, 500));

/** Returns the passages of an answer with the numbers of its citations. */
function passagesOf(
  passages: readonly Passage[],
  cited: readonly { number: number; documentId: string }[],
  fileHere: FileHere,
) {
  const numbers = new Map(cited.map(({ number, documentId }) => [documentId, number]));
  return passages.slice(0, maxPassages).map((passage): Prisma.InputJsonObject => {
    const file = fileHere(passage.document_id);
    const documentId = file ?? cutTo(passage.document_id, 500);
    const number = numbers.get(documentId) ?? Math.max(0, ...numbers.values()) + 1;
    numbers.set(documentId, number);
    // A file that was not imported cannot be deleted by a user here, so its passages stay.
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
      primaryOwners: ownersOf(passage.primary_owners),
      secondaryOwners: ownersOf(passage.secondary_owners),
      score: Math.min(Math.max(passage.score ?? 0, 0), 1),
      updatedAt: passage.updated_at?.toISOString() ?? null,
      highlights: [],
    };
  });
}

/** The content of a message without its parent and time. */
export type Content = Omit<NewMessage, 'parent' | 'createdAt'>;

/** Converts a message. Throws UnimportableError for one that is too long. */
export function contentOf(message: Message, fileHere: FileHere): Content {
  const linked = (message.message ?? '').replace(/\/api\/chat\/file\/([0-9a-f-]{36})/g, (link, id: string) => {
    const file = fileHere(id);
    return file ? fileLink(file) : link;
  });
  const text = messageText(linked);
  if (message.message_type === 'user') return { role: 'USER', text };
  const citations = citationsOf(message, fileHere);
  const seconds = message.processing_duration_seconds;
  const { current_feedback: feedback } = message;
  return {
    role: 'ASSISTANT',
    text,
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
