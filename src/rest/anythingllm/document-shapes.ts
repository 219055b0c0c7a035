import { z } from '@hono/zod-openapi';
import { type IncomingFile, isFile } from '../../http/multipart.ts';
import { localDate } from '../../modules/knowledge/intake-texts.ts';
import { cutText } from '../../unicode.ts';
import { graphql, type ResultOf } from '../graphql.ts';
import { numberFrom } from './shapes.ts';
import { workspaceIdOf } from './workspace-id.ts';

export const DocumentFields = graphql(`
  fragment AnythingLLMDocument on Document @_unmask {
    documentId title fileName location link source metadata wordCount tokenCount createdAt
  }
`);

export const FileEntryFields = graphql(
  `fragment AnythingLLMFileEntry on Document @_unmask {
    ...AnythingLLMDocument
    agents { totalCount }
    pinnedBy(first: 2147483647) { nodes { databaseId } }
  }`,
  [DocumentFields],
);

type Fields = ResultOf<typeof DocumentFields>;
type EntryFields = ResultOf<typeof FileEntryFields>;

const details = {
  id: z.string(),
  url: z.string(),
  title: z.string(),
  docAuthor: z.string(),
  description: z.string(),
  docSource: z.string(),
  chunkSource: z.string(),
  published: z.string().openapi({ example: '11/14/2023, 10:13:20 PM' }),
  wordCount: z.int(),
  token_count_estimate: z.int(),
};

/** Returns the properties of a document in the terms of these clients, for documents of any origin. */
export function detailsOf(document: Fields) {
  const metadata = document.metadata as Record<string, unknown>;
  const text = (name: string): string | undefined => {
    const value = metadata[name];
    return typeof value === 'string' ? value : undefined;
  };
  return {
    id: document.documentId,
    url: text('url') ?? document.link ?? `file://${document.fileName}`,
    title: titleOf(document.source, document.title, metadata),
    docAuthor: text('docAuthor') ?? 'no author specified',
    description: text('description') ?? 'no description found',
    docSource: text('docSource') ?? 'no source set',
    chunkSource: text('chunkSource') ?? document.link ?? '',
    published: text('published') ?? localDate(new Date(document.createdAt)),
    wordCount: document.wordCount,
    token_count_estimate: document.tokenCount,
  };
}

/** These clients show a text as the file that its metadata names. */
export function titleOf(source: string, title: string, metadata: Record<string, unknown>): string {
  return source === 'raw_text' && typeof metadata.title === 'string' ? metadata.title : title;
}

/** Returns the ID of a passage. */
export const passageId = (documentId: string, position: number): string => `${documentId}-${position}`;

export const DocResult = z
  .object({
    ...details,
    pageContent: z.string().openapi({ description: 'The full text of the document.' }),
    location: z.string().openapi({ example: 'custom-documents/raw-notes-c530dbe6-bff1-4b9e-b87f-710d539d20bc.json' }),
    isDirectUpload: z.boolean(),
    name: z
      .string()
      .optional()
      .openapi({ description: 'The file name of the document. Present only after an upload into a folder.' }),
  })
  .openapi('AnythingLLMDocument');

export const AddedFields = graphql(
  `fragment AnythingLLMAdded on AddedDocument @_unmask { text document { ...AnythingLLMDocument } }`,
  [DocumentFields],
);

export const docResult = (
  { document, text }: ResultOf<typeof AddedFields>,
  { named = false } = {},
): z.input<typeof DocResult> => {
  const { token_count_estimate, ...known } = detailsOf(document);
  return {
    ...known,
    pageContent: text,
    token_count_estimate,
    location: document.location,
    isDirectUpload: false,
    ...(named && { name: document.fileName }),
  };
};

export const DocResults = z
  .object({ success: z.literal(true), error: z.null(), documents: z.array(DocResult) })
  .openapi('AnythingLLMDocuments');

const StoredFile = z.object({ name: z.string(), type: z.literal('file'), ...details, cached: z.boolean() });

export const DocumentFile = StoredFile.openapi('AnythingLLMDocumentFile');

export const FileEntry = StoredFile.extend({
  canWatch: z.boolean(),
  pinnedWorkspaces: z.array(z.int()),
  watched: z.boolean(),
}).openapi('AnythingLLMFileEntry');

/** `cached` states whether the document belongs to workspaces. */
export const documentFile = (document: EntryFields): z.input<typeof DocumentFile> => ({
  name: document.fileName,
  type: 'file',
  ...detailsOf(document),
  cached: (document.agents?.totalCount ?? 0) > 0,
});

export const fileEntry = (document: EntryFields): z.input<typeof FileEntry> => ({
  ...documentFile(document),
  canWatch: false,
  pinnedWorkspaces: (document.pinnedBy?.nodes ?? []).map(({ databaseId }) => workspaceIdOf(databaseId)),
  watched: false,
});

/** Returns the folder name of a document. */
export const folderOf = ({ location, fileName }: Fields): string => location.slice(0, -fileName.length - 1);

/** Reads a folder name as the reference does: without parts that lead outside the folders. */
export const folderName = z
  .string()
  .catch('')
  .transform((name) =>
    name
      .trim()
      .replace(/^(\.\.(\/|\\|$))+/, '')
      .trim(),
  )
  .openapi({ type: 'string' });

/** Can be absent. */
const anything = z.unknown().optional();

/** A value that is not text counts as absent; a number becomes text, and a long text is truncated. */
const loose = (longest: number) =>
  anything
    .transform((value) => (typeof value === 'number' ? String(value) : typeof value === 'string' ? value : null))
    .transform((text) => (text !== null && text.length > longest ? cutText(text.toWellFormed(), longest) : text))
    .openapi({ type: 'string', description: `A text, which is truncated to ${longest} characters.` });

const noDetails: z.output<typeof DetailsObject> = {
  ...{
    title: null,
    url: null,
    docAuthor: null,
    description: null,
    docSource: null,
    chunkSource: null,
    published: null,
  },
};

const DetailsObject = z.object({
  title: loose(500),
  url: loose(2000),
  docAuthor: loose(500),
  description: loose(2000),
  docSource: loose(500),
  chunkSource: loose(2000),
  published: anything
    .transform((value) => {
      const date = value === null || value === '' || value === undefined ? null : new Date(numberFrom(value));
      return date && date.getUTCFullYear() > 0 && date.getUTCFullYear() < 10_000 ? date : null;
    })
    .openapi({ type: 'number', description: 'The time of publication, in milliseconds since 1970.' }),
});

function parsed(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}

/** Metadata as an object or as JSON; anything else counts as absent. */
export const Details = anything
  .transform((value) => DetailsObject.safeParse(parsed(value)).data ?? noDetails)
  .openapi({
    type: 'object',
    description:
      'An object, or its JSON text, with the optional keys title, url, docAuthor, description, docSource, chunkSource and published.',
  });

/** Slugs separated by commas. */
export const Workspaces = anything
  .transform((value, context) => {
    if (typeof value === 'string') return value.split(',');
    if (!value) return [];
    context.addIssue({
      code: 'custom',
      message: `addToWorkspaces must be a string of comma-separated workspace slugs. Got ${typeof value}`,
    });
    return z.NEVER;
  })
  .openapi({ type: 'string', description: 'Comma-separated slugs of the workspaces to add the document to.' });

/** Unwraps a form field that was sent once; a repeated field is a list. */
const single = (values: unknown): unknown => (Array.isArray(values) && values.length === 1 ? values[0] : values);

export const UploadForm = z
  .object({
    file: z
      .array(z.custom<IncomingFile>(isFile, 'Unexpected field'))
      .length(1, 'Unexpected field')
      .openapi({ type: 'string', format: 'binary' }),
    addToWorkspaces: z.preprocess(single, Workspaces).openapi({ type: 'string' }),
    metadata: z.preprocess(single, Details).openapi({ type: 'object' }),
  })
  .openapi('AnythingLLMUpload');
