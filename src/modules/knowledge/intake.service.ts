import { z } from 'zod';
import type { Principal } from '../../authz/principal.ts';
import { badInput, parse } from '../../errors.ts';
import type { Document } from '../../generated/prisma/client.ts';
import type { Settings } from '../../settings.ts';
import { slugOf } from '../../slug.ts';
import { cutText } from '../../unicode.ts';
import { FetchError, type Fetched, guardedFetch } from '../../web/guarded-fetch.ts';
import { documentText, plainText } from '../../zod-types.ts';
import { acceptedTypes, extensionOf, type Format, unsupportedType } from '../files/extract/kinds.ts';
import type { FilesService } from '../files/files.service.ts';
import type { Upload } from '../files/upload-file.ts';
import type { KnowledgeService, NewDocument } from './knowledge.service.ts';
import { FolderName, maxSlugLength } from './location.ts';
import { storableDate } from './retrieval.ts';

/** The limit of one request. */
const maxAtOnce = 20;

/** A property of a document; an empty text counts as absent. */
const said = (max: number) =>
  plainText(max)
    .trim()
    .nullish()
    .transform((text) => text || null);
const details = {
  url: said(2000),
  docAuthor: said(500),
  description: said(2000),
  docSource: said(500),
  chunkSource: said(2000),
  published: storableDate.nullish(),
};
const nothingSaid = { title: null, url: null, docAuthor: null, description: null, docSource: null, chunkSource: null };
const Details = z
  .object({ title: said(500), ...details })
  .nullish()
  .transform((metadata) => metadata ?? { ...nothingSaid, published: null });

const target = {
  folder: FolderName.nullish().transform((name) => name ?? null),
  agentSlugs: z
    .array(plainText(300))
    .max(100)
    .nullish()
    .transform((slugs) => (slugs ?? []).map((slug) => slug.trim().toLowerCase()).filter(Boolean)),
};

const Uploaded = z.object({ ...target, metadata: Details });
const Text = z.object({
  ...target,
  text: documentText.refine((text) => text.trim() !== '', 'must not be empty'),
  metadata: z.object({
    title: said(500)
      .transform((title) => title ?? '')
      .pipe(z.string().min(1, 'must not be empty')),
    ...details,
  }),
});
const Header = z.object({
  name: z.string().regex(/^[\w!#$%&'*+.^`|~-]{1,100}$/, 'is not a valid header name'),
  value: z
    .string()
    .max(4000)
    .regex(/^[\t\x20-\x7e\x80-\xff]*$/, 'contains characters that are not allowed in a header'),
});
const Link = z.object({
  ...target,
  url: plainText(2000).trim().min(1, 'must not be empty'),
  headers: z.array(Header).max(50).nullish(),
  metadata: Details,
});

export type UploadInput = z.input<typeof Uploaded>;
export type TextInput = z.input<typeof Text>;
export type LinkInput = z.input<typeof Link>;

/** A document that was added, with its extracted text. */
export interface Added {
  document: Document;
  text: string;
}

interface IntakeServiceDeps {
  knowledge: KnowledgeService;
  files: Pick<FilesService, 'textOf'>;
  settings: Settings;
}

/** Creates the service that adds files, texts and web pages as documents. Only their text is stored. */
export function createIntakeService({ knowledge, files, settings }: IntakeServiceDeps) {
  async function keep(
    principal: Principal,
    documents: NewDocument[],
    where: { folder: string | null; agentSlugs: string[] },
  ): Promise<Added[]> {
    const stored = await knowledge.add(principal, documents, where);
    return stored.map((document, at) => ({ document, text: documents[at]?.text ?? '' }));
  }

  /** Throws BAD_USER_INPUT at this path for a file that cannot be read or has no text. */
  async function read(
    principal: Principal,
    path: (string | number)[],
    name: string,
    bytes: Uint8Array,
    how: { as?: Format; charset?: string | null } = {},
  ) {
    const found = await files.textOf(principal, name, bytes, how);
    if ('text' in found) return found;
    throw badInput(
      path,
      found.reason === unsupportedType
        ? `File extension ${extensionOf(name) || '(none)'} not supported for parsing and cannot be assumed as text file type.`
        : `${name || 'The file'} ${found.reason}.`,
    );
  }

  return {
    /**
     * Adds the texts of 1 to 20 files, each of at most `MAX_FILE_MB` and 2,000,000 characters; if one fails, no text is
     * added. The files are not stored. `folder` is created if it does not exist; `agentSlugs` that are unknown or not
     * editable are ignored. Throws BAD_USER_INPUT that names the file that cannot be read.
     */
    async uploadDocuments(principal: Principal, uploads: readonly Upload[], input: UploadInput): Promise<Added[]> {
      const { metadata: of, ...where } = parse(Uploaded, input);
      if (uploads.length === 0 || uploads.length > maxAtOnce)
        throw badInput(['input', 'files'], `must be 1 to ${maxAtOnce} files`);
      const documents: NewDocument[] = [];
      for (const [at, upload] of uploads.entries()) {
        const name = fileName(upload.name);
        const { text, format } = await read(principal, ['input', 'files', at], name, await upload.bytes());
        documents.push({
          title: of.title ?? name,
          text,
          link: webLink(of.url),
          source: 'upload',
          documentUpdatedAt: of.published ?? null,
          name,
          prefix: '',
          metadata: {
            url: of.url ?? `file://${name}`,
            docAuthor: of.docAuthor ?? 'Unknown',
            description: of.description ?? 'Unknown',
            docSource: of.docSource ?? `${fileSource[format] ?? 'a text'} file uploaded by the user.`,
            chunkSource: of.chunkSource ?? '',
            published: localDate(of.published),
          },
        });
      }
      return keep(principal, documents, where);
    },

    /**
     * Adds a text of at most 2,000,000 characters. See `uploadDocuments` for folder and agents. Throws BAD_USER_INPUT.
     */
    async addText(principal: Principal, input: TextInput): Promise<Added[]> {
      const { text, metadata: of, ...where } = parse(Text, input);
      const name = slugOf(of.title.replace(/(?<=.)\.\w{1,10}$/, '').slice(0, maxSlugLength));
      const document: NewDocument = {
        title: of.title,
        text,
        link: webLink(of.url),
        source: 'raw_text',
        documentUpdatedAt: of.published ?? null,
        name,
        prefix: 'raw-',
        metadata: {
          title: `${name}.txt`,
          url: webLink(of.url) ? `web://${of.url?.toLowerCase()}.website` : `file://${name}.txt`,
          docAuthor: of.docAuthor ?? 'no author specified',
          description: of.description ?? 'no description found',
          docSource: of.docSource ?? 'no source set',
          chunkSource: of.chunkSource ?? of.title,
          published: localDate(of.published),
        },
      };
      return keep(principal, [document], where);
    },

    /**
     * Adds the current text of a web page or a file on the web: its main content, without navigation. Fetches the page
     * with {@link guardedFetch}; `headers` are sent to its own origin only and are not stored. Stops when the signal
     * aborts. Throws BAD_USER_INPUT for a page that cannot be fetched or read.
     */
    async addLink(principal: Principal, input: LinkInput, signal: AbortSignal): Promise<Added[]> {
      const { url, headers, metadata: of, ...where } = parse(Link, input);
      const page = await guardedFetch(url, {
        headers: Object.fromEntries((headers ?? []).map(({ name, value }) => [name, value])),
        maxBytes: settings.maxFileSize,
        allowedHosts: settings.linkAllowedHosts,
        signal,
      }).catch((error: unknown) => {
        throw error instanceof FetchError ? badInput(['input', 'url'], `The page ${error.message}.`) : error;
      });
      const { name, as } = fileOf(page);
      const how = { ...(as && { as }), charset: page.charset };
      const { text } = await read(principal, ['input', 'url'], name, page.bytes, how);
      const { hostname, pathname } = new URL(url);
      const place = `${hostname}${pathname.replace(/\/+$/, '')}`;
      const heading = as === 'article' ? /^# (.+)$/m.exec(text)?.[1] : undefined;
      const document: NewDocument = {
        title: of.title ?? cutText(heading ?? place, 500),
        text,
        link: url,
        source: 'link',
        documentUpdatedAt: of.published ?? null,
        name: place.replaceAll('/', '-'),
        prefix: 'url-',
        metadata: {
          url: of.url ?? `file://${slugOf(place.replaceAll('/', '-'))}.html`,
          docAuthor: of.docAuthor ?? 'no author found',
          description: of.description ?? 'No description found.',
          docSource: of.docSource ?? 'URL link uploaded by the user.',
          chunkSource: of.chunkSource ?? `link://${url}`,
          published: localDate(of.published),
        },
      };
      return keep(principal, [document], where);
    },
  };
}

const fileSource: Partial<Record<Format, string>> = {
  ...{
    pdf: 'pdf',
    docx: 'docx',
    xlsx: 'xlsx',
    pptx: 'pptx',
    odf: 'an OpenDocument',
    epub: 'epub',
    eml: 'an e-mail',
    rtf: 'rtf',
  },
};

/** Returns a date in the format of these clients, in UTC: `11/14/2023, 10:13:20 PM`. Defaults to the current time. */
export const localDate = (date: Date | null | undefined): string =>
  (date ?? new Date()).toLocaleString('en-US', { timeZone: 'UTC' }).replaceAll('\u202f', ' ');

/** Returns a web address that readers can follow, or null. */
const webLink = (text: string | null): string | null =>
  text !== null && URL.canParse(text) && /^https?:$/.test(new URL(text).protocol) ? text : null;

/** Returns a file name without folders and without characters that file systems reject. */
const fileName = (name: string): string =>
  cutText((name.toWellFormed().split(/[/\\]/).at(-1) ?? '').replace(/[<>:"|?*\p{Cc}]/gu, '').trim(), 255);

/**
 * Returns the file name of a fetched page: `page.html` for HTML, otherwise the name in the URL. Adds the extension of
 * the media type when that name has no known extension.
 */
function fileOf({ url, mediaType }: Fetched): { name: string; as?: Format } {
  if (mediaType === 'text/html' || mediaType === 'application/xhtml+xml') return { name: 'page.html', as: 'article' };
  const name = fileName(decodeURIComponentSafely(url.pathname)) || 'page';
  const extension = acceptedTypes[mediaType]?.[0];
  const known = Object.values(acceptedTypes).flat().includes(extensionOf(name));
  return { name: extension && !known ? `${name}${extension}` : name };
}

function decodeURIComponentSafely(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
