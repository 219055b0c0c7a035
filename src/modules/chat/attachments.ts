import type { ChatModel } from '../../ai/providers.ts';
import { estimateTokens } from '../../ai/tokens.ts';
import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import type { Agent, File, Prisma } from '../../generated/prisma/client.ts';
import type { Database } from '../../store/database.ts';
import type { FilesService } from '../files/files.service.ts';
import { fileLink } from '../knowledge/file-documents.ts';
import { numberHits } from './citations.ts';
import type { NumberedHit } from './events.ts';
import { type Pinned, pinnedDocuments } from './pinned.ts';
import { beginning, type Image, promptRoom, sizeOf } from './prompt.ts';

/**
 * Share of the context window in which the files of an agent and a project are included in full instead of searched.
 */
const standingShare = 0.25;
/**
 * Share of the context window in which the files of a question are included in full. Longer files are also searched.
 */
const wholeShare = 0.5;
/** Maximum number of images in one prompt, and of their bytes together. */
const most = { images: 20, imageBytes: 32 * 1024 * 1024 };

/** The files and documents of a turn, in addition to its question and search results. */
export interface Attachments {
  /** The files of the question, numbered for citations. */
  files: NumberedHit[];
  /**
   * The IDs of the files that are too long to be included in full: their start is included, and search results from
   * them.
   */
  longFiles: string[];
  /** The files of earlier questions, newest first. */
  earlierFiles: NumberedHit[];
  /**
   * The text that every turn includes in full: the files of the agent and the project if all of them together are
   * short, and the agent's pinned documents as far as they fit.
   */
  standing: NumberedHit[];
  /**
   * Set when the files of the agent or the documents of the project must be searched because they are not included in
   * full.
   */
  searchable: boolean;
  notes: string[];
  /** The images of the question. */
  images: Image[];
  /** The files of earlier questions, newest first. */
  earlierImages: Image[];
}

export interface AttachmentsRequest {
  agent: Agent;
  projectId: number | null;
  projectInstructions: string | null;
  question: string;
  additionalContext?: string | null | undefined;
  questionId: number;
  /** The earlier messages, oldest first. */
  earlierIds: readonly number[];
  model: Pick<ChatModel, 'contextWindow' | 'sees'>;
}

const columns = {
  id: true,
  name: true,
  mediaType: true,
  kind: true,
  size: true,
  status: true,
  error: true,
  tokenCount: true,
  createdAt: true,
} as const;
type Attached = Pick<File, keyof typeof columns>;
type Written = Attached & Pick<File, 'text'>;

/** Returns a file as a passage with its full text and its name as the title. */
const whole = ({ id, name, text, createdAt }: Written): Omit<NumberedHit, 'number'> => ({
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

/** Returns whether a passage is the full text of a file or document, or its start, rather than a search result. */
export const isWhole = ({ chunkId }: Pick<NumberedHit, 'chunkId'>): boolean => chunkId === 0;

/** Returns the note to the model about a file of the question that it does not receive. */
const noteOn = ({ name, kind }: Attached, why: string): string =>
  `[The ${kind === 'IMAGE' ? 'image' : 'file'} ${JSON.stringify(name)} was attached to this message and ${why}.]`;

/** Returns why the text of a file is not available, or null when it is. */
function unread({ status, error }: Attached): string | null {
  if (status === 'FAILED') return error ?? 'could not be read';
  return status === 'PROCESSING' ? 'has not been read yet' : null;
}

/** A file of a message: 0 is the current question, higher numbers are earlier questions. */
type Placed = Attached & { place: number };

/** Collects the files of a turn. Waits for files whose text is being extracted, as long as the turn runs. */
export async function gatherAttachments(
  { db, files }: { db: Database; files: FilesService },
  principal: Principal,
  request: AttachmentsRequest,
  signal: AbortSignal,
): Promise<Attachments> {
  const { agent, projectId, questionId, earlierIds, model } = request;
  const messageIds = [questionId, ...[...earlierIds].reverse()];
  // A chat that the principal continues can contain files of another user.
  const of = { AND: [visible.files(principal), { messages: { some: { id: { in: messageIds } } } }] };
  const reading = await db.prisma.file.findMany({
    where: { OR: [of, ...given(agent, projectId)], status: 'PROCESSING' },
    select: { id: true },
  });
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
  const asked = new Set(placed.filter(({ place }) => place === 0).map(({ id }) => id));
  const {
    given: standingIds,
    standing,
    searchable,
  } = await standingFiles(db, principal, { agent, projectId, model }, asked);

  // Files that the agent or the project adds to every turn no longer count as files of an earlier question.
  const theirs = placed.filter(({ id, place }) => place === 0 || !standingIds.has(id));
  const withText = await readTexts(db, theirs, model.contextWindow);
  const ofFiles = [...withText, ...standing].map(whole);
  const room = roomFor(request, [
    ...withText.flatMap((file) => (file.place === 0 ? whole(file) : [])),
    ...standing.map(whole),
  ]);
  const numbered = numberHits([...ofFiles, ...(await pinnedDocuments(db, principal, { agent, projectId, room }))]);
  const shown = await readImages(files, placed, model);
  const unreadable = placed.flatMap((file) => {
    const why = file.place === 0 && file.kind !== 'IMAGE' ? unread(file) : null;
    return why === null ? [] : noteOn(file, why);
  });
  const asking = numbered.filter((_, index) => withText[index]?.place === 0);
  return {
    ...shortened(asking, model.contextWindow),
    earlierFiles: numbered.filter((_, index) => (withText[index]?.place ?? 0) > 0),
    standing: numbered.slice(withText.length),
    searchable,
    notes: [...unreadable, ...shown.notes],
    images: shown.images.filter(({ place }) => place === 0),
    earlierImages: shown.images.filter(({ place }) => place > 0),
  };
}

/** Returns the tokens that remain for pinned documents besides the question and its files. */
const roomFor = (
  { agent, projectInstructions, question, additionalContext, model }: AttachmentsRequest,
  given: readonly Pinned[],
): number =>
  promptRoom({ agent, projectInstructions, contextWindow: model.contextWindow }) -
  [question, additionalContext ?? '', agent.taskPrompt].reduce((sum, text) => sum + estimateTokens(text), 0) -
  given.reduce((sum, source) => sum + sizeOf(source), 0);

/** Returns the files of a question, with long ones cut to their start when all of them together are too long. */
function shortened(files: NumberedHit[], contextWindow: number): Pick<Attachments, 'files' | 'longFiles'> {
  const tokens = files.reduce((sum, { text }) => sum + estimateTokens(text), 0);
  if (tokens <= contextWindow * wholeShare) return { files, longFiles: [] };
  // Half of the space is for their start and half for search results from them.
  const most = Math.floor((contextWindow * wholeShare) / 2 / files.length);
  const long = files.filter(({ text }) => estimateTokens(text) > most);
  return {
    files: files.map((file) => (long.includes(file) ? { ...file, text: beginning(file.text, most) } : file)),
    longFiles: long.map(({ documentId }) => documentId),
  };
}

/**
 * Reads the images in order, up to the limits of the model. `notes` describe the images of the question that it does
 * not receive.
 */
async function readImages(
  files: FilesService,
  placed: readonly Placed[],
  { sees }: AttachmentsRequest['model'],
): Promise<{ images: (Image & { place: number })[]; notes: string[] }> {
  const images: (Image & { place: number })[] = [];
  const notes: string[] = [];
  let room = most.imageBytes;
  for (const file of placed) {
    if (file.kind !== 'IMAGE') continue;
    const fits = images.length < most.images && file.size <= room;
    const bytes = sees && fits ? await files.bytesIfThere(file.id) : null;
    if (bytes) {
      room -= file.size;
      images.push({ name: file.name, mediaType: file.mediaType, bytes, place: file.place });
    } else if (file.place === 0) {
      const why = fits ? 'no longer exists' : 'exceeds the number of files that can be shown to you at once';
      notes.push(noteOn(file, sees ? why : 'cannot be shown to you, because you cannot see images: say so'));
    }
  }
  return { images, notes };
}

/** Reads the texts of files in order. Stops when the files of earlier questions exceed the context window. */
async function readTexts(
  db: Database,
  placed: readonly Placed[],
  contextWindow: number,
): Promise<(Placed & Written)[]> {
  let tokens = 0;
  const wanted = placed.filter((file) => {
    if (file.kind === 'IMAGE' || file.status !== 'COMPLETED') return false;
    const fits = file.place === 0 || tokens < contextWindow;
    tokens += file.tokenCount ?? 0;
    return fits;
  });
  if (wanted.length === 0) return [];
  const where = { id: { in: wanted.map(({ id }) => id) }, text: { not: null } };
  const texts = new Map(
    (await db.prisma.file.findMany({ where, select: { id: true, text: true } })).map(({ id, text }) => [id, text]),
  );
  return wanted.flatMap((file) => {
    const text = texts.get(file.id);
    return text == null ? [] : { ...file, text };
  });
}

/** The conditions for the files that an agent and a project add to every turn. */
const given = ({ id }: { id: number }, projectId: number | null): Prisma.FileWhereInput[] => [
  { agents: { some: { id } } },
  ...(projectId === null ? [] : [{ projects: { some: { id: projectId } } }]),
];

/**
 * Returns the files of the agent and the project that the principal can read, if all of them together are short.
 * Otherwise, or when the project has other documents, they must be searched. `given` are all of these files, `asked`
 * are the files of the question, which were already read.
 */
async function standingFiles(
  db: Database,
  principal: Principal,
  { agent, projectId, model }: Pick<AttachmentsRequest, 'agent' | 'projectId' | 'model'>,
  asked: ReadonlySet<string>,
): Promise<{ given: ReadonlySet<string>; standing: Written[]; searchable: boolean }> {
  const where = {
    OR: given(agent, projectId),
    text: { not: null },
    document: visible.documents(principal),
  };
  const found = await db.prisma.file.findMany({ where, select: { id: true, tokenCount: true } });
  const theirs = new Set(found.map(({ id }) => id));
  const wanted = found.filter(({ id }) => !asked.has(id));
  const tokens = wanted.reduce((sum, { tokenCount }) => sum + (tokenCount ?? 0), 0);
  const short = tokens <= model.contextWindow * standingShare;
  const documents = projectId === null ? 0 : await db.prisma.document.count({ where: { projectId } });
  if (wanted.length === 0 || !short) return { given: theirs, standing: [], searchable: !short || documents > 0 };
  const standing = await db.prisma.file.findMany({
    where: { id: { in: wanted.map(({ id }) => id) } },
    select: { ...columns, text: true },
    orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
  });
  return { given: theirs, standing, searchable: documents > 0 };
}
