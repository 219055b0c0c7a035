import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import type { Agent, File, Prisma } from '../../generated/prisma/client.ts';
import type { ChatModel } from '../../models/providers.ts';
import { estimateTokens } from '../../models/tokens.ts';
import type { Database } from '../../store/database.ts';
import type { FilesService } from '../files/files.service.ts';
import { fileLink } from '../knowledge/knowledge.service.ts';
import { numberHits } from './citations.ts';
import type { NumberedHit } from './events.ts';
import { type Pinned, pinnedDocuments } from './pinned.ts';
import { beginning, type Image, promptRoom, sizeOf } from './prompt.ts';

/** The share of the model's window in which the files of an agent and a project are given whole, and not searched. */
const standingShare = 0.25;
/** The share of the model's window up to which the files of a question are given whole; a longer one is searched, too. */
const wholeShare = 0.5;
/** Images that one prompt holds at most, and their bytes together. */
const most = { images: 20, imageBytes: 32 * 1024 * 1024 };

/** What a turn knows beside its question and what it searches for. */
export interface Attachments {
  /** The files that came with the question, numbered to be cited. */
  files: NumberedHit[];
  /** Of these, the ids of those that are too long to be given whole: of them the beginning is, and what a search finds. */
  longFiles: string[];
  /** Those that came with earlier questions, newest first. */
  earlierFiles: NumberedHit[];
  /**
   * What every turn has whole: the files of the agent and the project where all of them together are short, and the
   * agent's pinned documents as far as they fit.
   */
  standing: NumberedHit[];
  /** Whether the agent's files, or what is in the project, have to be searched, since they are not given whole. */
  searchable: boolean;
  notes: string[];
  /** Those that came with the question. */
  images: Image[];
  /** Those that came with earlier questions, newest first. */
  earlierImages: Image[];
}

export interface AttachmentsRequest {
  agent: Agent;
  projectId: number | null;
  projectInstructions: string | null;
  question: string;
  additionalContext?: string | null | undefined;
  questionId: number;
  /** The messages before it, oldest first. */
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

/** A file as a passage: all of its text, under its name. */
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

/** Whether a passage is all of a file's or a document's text, or its beginning, and no search found it. */
export const isWhole = ({ chunkId }: Pick<NumberedHit, 'chunkId'>): boolean => chunkId === 0;

/** What the model is told of a file that came with the question, and that it does not get. */
const noteOn = ({ name, kind }: Attached, why: string): string =>
  `[The ${kind === 'IMAGE' ? 'image' : 'file'} ${JSON.stringify(name)} came with this and ${why}.]`;

/** Why the text of a file is not there; null when it is. */
function unread({ status, error }: Attached): string | null {
  if (status === 'FAILED') return error ?? 'could not be read';
  return status === 'PROCESSING' ? 'has not been read yet' : null;
}

/** A file of a message: 0 is the question's, more is an earlier one's. */
type Placed = Attached & { place: number };

/** Gathers the files of a turn; waits for those whose text is still being read, as long as the turn goes on. */
export async function gatherAttachments(
  db: Database,
  files: FilesService,
  principal: Principal,
  request: AttachmentsRequest,
  signal: AbortSignal,
): Promise<Attachments> {
  const { agent, projectId, questionId, earlierIds, model } = request;
  const messageIds = [questionId, ...[...earlierIds].reverse()];
  // A chat that one goes on with can hold files of somebody else's.
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

  // Those that the agent or the project gives to every turn are no longer an earlier question's.
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

/** Tokens that are left for pinned documents beside the question and what is given with it. */
const roomFor = (
  { agent, projectInstructions, question, additionalContext, model }: AttachmentsRequest,
  given: readonly Pinned[],
): number =>
  promptRoom({ agent, projectInstructions, contextWindow: model.contextWindow }) -
  [question, additionalContext ?? '', agent.taskPrompt].reduce((sum, text) => sum + estimateTokens(text), 0) -
  given.reduce((sum, source) => sum + sizeOf(source), 0);

/** The files of a question, the long ones cut to their beginning where together they are too much. */
function shortened(files: NumberedHit[], contextWindow: number): Pick<Attachments, 'files' | 'longFiles'> {
  const tokens = files.reduce((sum, { text }) => sum + estimateTokens(text), 0);
  if (tokens <= contextWindow * wholeShare) return { files, longFiles: [] };
  // Half of the room for their beginnings, and half for what is found in them.
  const most = Math.floor((contextWindow * wholeShare) / 2 / files.length);
  const long = files.filter(({ text }) => estimateTokens(text) > most);
  return {
    files: files.map((file) => (long.includes(file) ? { ...file, text: beginning(file.text, most) } : file)),
    longFiles: long.map(({ documentId }) => documentId),
  };
}

/** The images in their order, as far as the model sees any; `notes` are on those of the question that it does not get. */
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
      const why = fits ? 'is no longer there' : 'is more than can be shown to you at once';
      notes.push(noteOn(file, sees ? why : 'cannot be shown to you, since you do not see images: say so'));
    }
  }
  return { images, notes };
}

/** The texts of files in their order: of earlier questions' as many as could ever fit into the window, and no more. */
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

/** The files that an agent, and a project, give to every turn. */
const given = ({ id }: { id: number }, projectId: number | null): Prisma.FileWhereInput[] => [
  { agents: { some: { id } } },
  ...(projectId === null ? [] : [{ projects: { some: { id: projectId } } }]),
];

/**
 * The files of the agent and the project that the principal may read, if all of them together are short. If they are
 * not, or the project has other documents, there is something to search. `given` are all of them, `asked` those that
 * came with the question, which are known.
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
