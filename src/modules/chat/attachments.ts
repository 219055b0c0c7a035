import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import type { File } from '../../generated/prisma/client.ts';
import type { ChatModel } from '../../models/providers.ts';
import type { Database } from '../../store/database.ts';
import type { FilesService } from '../files/files.service.ts';
import { fileLink } from '../knowledge/knowledge.service.ts';
import { numberHits } from './citations.ts';
import type { NumberedHit } from './events.ts';
import type { Image } from './prompt.ts';

/** The share of the model's window in which the files of an agent and a project are given whole, and not searched. */
const standingShare = 0.25;
/** Images that one prompt holds at most. */
const mostImages = 20;

/** What a turn knows beside its question and what it searches for. */
export interface Attachments {
  /** The files that came with the question, numbered to be cited. */
  files: NumberedHit[];
  /** Those that came with earlier questions, newest first. */
  earlierFiles: NumberedHit[];
  /** The files of the agent and the project where all of them together are short: every turn has them whole. */
  standing: NumberedHit[];
  /** Whether the agent's files, or what is in the project, have to be searched, since they are not given whole. */
  searchable: boolean;
  notes: string[];
  images: Image[];
}

export interface AttachmentsRequest {
  agent: { id: number };
  projectId: number | null;
  questionId: number;
  /** The messages before it, oldest first. */
  earlierIds: readonly number[];
  model: Pick<ChatModel, 'contextWindow' | 'sees'>;
}

type Attached = Pick<File, 'id' | 'name' | 'mediaType' | 'kind' | 'status' | 'error' | 'text' | 'createdAt'>;
const columns = {
  id: true,
  name: true,
  mediaType: true,
  kind: true,
  status: true,
  error: true,
  text: true,
  createdAt: true,
} as const;

/** A file as a passage: all of its text, under its name. */
const whole = ({ id, name, text, createdAt }: Attached): Omit<NumberedHit, 'number'> => ({
  documentId: id,
  chunkId: 0,
  position: 0,
  title: name,
  heading: '',
  link: fileLink(id),
  text: text ?? '',
  source: 'user_file',
  metadata: {},
  score: 1,
  updatedAt: createdAt,
  highlights: [],
});

/** What the model is told of a file whose text or pixels it does not get. */
function noteOn({ name, kind, status, error }: Attached, sees: boolean): string | null {
  const file = JSON.stringify(name);
  if (kind === 'IMAGE') return sees ? null : `[The image ${file} came with this. You cannot see images: say so.]`;
  return status === 'FAILED' ? `[The file ${file} came with this and could not be read: ${error ?? 'unknown'}.]` : null;
}

/** Gathers the files of a turn; waits for those whose text is still being read, as long as the turn goes on. */
export async function gatherAttachments(
  db: Database,
  files: FilesService,
  principal: Principal,
  { agent, projectId, questionId, earlierIds, model }: AttachmentsRequest,
  signal: AbortSignal,
): Promise<Attachments> {
  const messageIds = [questionId, ...[...earlierIds].reverse()];
  const of = { messages: { some: { id: { in: messageIds } } } };
  const reading = await db.prisma.file.findMany({ where: { ...of, status: 'PROCESSING' }, select: { id: true } });
  await files.ready(
    reading.map(({ id }) => id),
    signal,
  );
  const found = await db.prisma.file.findMany({
    where: of,
    select: { ...columns, messages: { where: { id: { in: messageIds } }, select: { id: true } } },
    orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
  });
  const placeOf = ({ messages }: { messages: { id: number }[] }) =>
    Math.min(...messages.map(({ id }) => messageIds.indexOf(id)));
  const placed = found.map((file) => ({ ...file, place: placeOf(file) })).sort((a, b) => a.place - b.place);
  const known = new Set(found.map(({ id }) => id));
  const { standing, searchable } = await standingFiles(db, principal, { agent, projectId, model }, known);

  const withText = placed.filter(({ text }) => text !== null);
  const numbered = numberHits([...withText, ...standing].map(whole));
  const images: Image[] = [];
  if (model.sees)
    for (const { id, name, mediaType, kind } of placed)
      if (kind === 'IMAGE' && images.length < mostImages)
        images.push({ name, mediaType, bytes: await files.bytes(id) });
  return {
    files: numbered.filter((_, index) => withText[index]?.place === 0),
    earlierFiles: numbered.filter((_, index) => (withText[index]?.place ?? 0) > 0),
    standing: numbered.slice(withText.length),
    searchable,
    notes: placed.filter(({ place }) => place === 0).flatMap((file) => noteOn(file, model.sees) ?? []),
    images,
  };
}

/**
 * The files of the agent and the project that the principal may read, if all of them together are short. If they are
 * not, or the project has other documents, there is something to search.
 */
async function standingFiles(
  db: Database,
  principal: Principal,
  { agent, projectId, model }: Pick<AttachmentsRequest, 'agent' | 'projectId' | 'model'>,
  known: ReadonlySet<string>,
): Promise<{ standing: Attached[]; searchable: boolean }> {
  const ofProject = projectId === null ? [] : [{ projects: { some: { id: projectId } } }];
  const where = {
    OR: [{ agents: { some: { id: agent.id } } }, ...ofProject],
    text: { not: null },
    document: visible.documents(principal),
  };
  const given = await db.prisma.file.findMany({ where, select: { id: true, tokenCount: true } });
  const wanted = given.filter(({ id }) => !known.has(id));
  const tokens = wanted.reduce((sum, { tokenCount }) => sum + (tokenCount ?? 0), 0);
  const short = tokens <= model.contextWindow * standingShare;
  const documents = projectId === null ? 0 : await db.prisma.document.count({ where: { projectId } });
  if (wanted.length === 0 || !short) return { standing: [], searchable: !short || documents > 0 };
  const standing = await db.prisma.file.findMany({
    where: { id: { in: wanted.map(({ id }) => id) } },
    select: columns,
    orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
  });
  return { standing, searchable: documents > 0 };
}
