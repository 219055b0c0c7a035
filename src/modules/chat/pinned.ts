import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import type { Chunk, Prisma } from '../../generated/prisma/client.ts';
import type { Database } from '../../store/database.ts';
import type { Hit } from '../knowledge/retrieval.ts';
import { sizeOf } from './prompt.ts';

/** A document that a turn includes in full, before it is numbered. */
export type Pinned = Hit;

/** Passages that are not adjacent were separated by whitespace, which passages do not contain. */
const between = (gap: number): string => (gap > 1 ? '\n\n' : gap === 1 ? '\n' : '');

/**
 * Joins the passages of a document in order and removes their overlap. Whitespace between passages becomes a line break
 * or an empty line.
 */
export function joinChunks(chunks: readonly Pick<Chunk, 'section' | 'start' | 'end' | 'text'>[]): string {
  let text = '';
  let section = 0;
  let end = 0;
  for (const chunk of chunks) {
    if (chunk.section !== section) end = 0;
    const joint = chunk.section === section ? between(chunk.start - end) : '\n\n';
    if (text !== '') text += joint;
    text += chunk.text.slice(Math.max(end - chunk.start, 0));
    section = chunk.section;
    end = Math.max(end, chunk.end);
  }
  return text;
}

const columns = {
  id: true,
  externalId: true,
  title: true,
  link: true,
  source: true,
  metadata: true,
  tokenCount: true,
  documentUpdatedAt: true,
} as const satisfies Prisma.DocumentSelect;

/**
 * Returns the agent's pinned documents that the principal can read, oldest first, as far as they fit into `room`
 * tokens; in a turn of a project, no documents of another project. Documents that do not fit are found by search.
 */
export async function pinnedDocuments(
  db: Database,
  principal: Principal,
  { agent, projectId, room }: { agent: { id: number }; projectId: number | null; room: number },
): Promise<Pinned[]> {
  const documents = await db.prisma.document.findMany({
    where: {
      AND: [
        visible.documents(principal),
        { pinnedBy: { some: { id: agent.id } } },
        projectId === null ? {} : { OR: [{ projectId: null }, { projectId }] },
      ],
    },
    orderBy: { id: 'asc' },
    select: columns,
  });
  // The sizes are known, so that documents that cannot fit are not loaded.
  let known = room;
  const promising = documents.filter(({ tokenCount }) => {
    const fits = tokenCount <= known;
    if (fits) known -= tokenCount;
    return fits;
  });
  if (promising.length === 0) return [];
  const chunks = await db.prisma.chunk.findMany({
    where: { documentId: { in: promising.map(({ id }) => id) } },
    orderBy: [{ documentId: 'asc' }, { position: 'asc' }],
    select: { documentId: true, section: true, start: true, end: true, text: true },
  });
  let left = room;
  return promising.flatMap((document) => {
    const pinned = asPassage(document, joinChunks(chunks.filter(({ documentId }) => documentId === document.id)));
    const size = sizeOf(pinned);
    if (size > left || pinned.text === '') return [];
    left -= size;
    return pinned;
  });
}

const asPassage = (document: Prisma.DocumentGetPayload<{ select: typeof columns }>, text: string): Pinned => ({
  documentId: document.externalId,
  chunkId: 0,
  position: 0,
  title: document.title,
  heading: '',
  link: document.link,
  text,
  source: document.source,
  metadata: document.metadata as Hit['metadata'],
  score: 1,
  updatedAt: document.documentUpdatedAt,
  highlights: [],
});
