import type { FileKind } from '../../../generated/prisma/enums.ts';
import { has, looksLikeText } from './text-bytes.ts';

/** How a file is read. An `article` is HTML of which only the main content is kept. */
export type Format =
  | ('image' | 'pdf' | 'html' | 'article' | 'csv' | 'json' | 'markdown' | 'text')
  | ('docx' | 'xlsx' | 'pptx' | 'odf' | 'epub' | 'eml' | 'rtf');

/** The type of a file, from its name and content. */
export interface FileType {
  kind: FileKind;
  mediaType: string;
  format: Format;
}

interface Known extends FileType {
  /** In lower case with the dot; the preferred one first. */
  extensions: string[];
  /** Name of the type. Completes "the file is not …". */
  called: string;
  /** Returns whether the content has the signature of this type. Types without it are text. */
  matches?: (bytes: Uint8Array) => boolean;
}

const plain: Known = {
  kind: 'PLAIN_TEXT',
  mediaType: 'text/plain',
  format: 'text',
  extensions: ['.txt', '.text', '.log'],
  called: 'a text file',
};

const image = (mediaType: string, extensions: string[], called: string, matches: Known['matches']): Known => ({
  ...{ kind: 'IMAGE', format: 'image', mediaType, extensions, called, matches },
});

const officeOpen = 'application/vnd.openxmlformats-officedocument.';
const openDocument = 'application/vnd.oasis.opendocument.';

/** Returns the type of a document that is a ZIP archive of its parts. */
const archive = (
  format: Format,
  mediaType: string,
  { extension, called, kind = 'DOCUMENT' }: { extension: string; called: string; kind?: FileKind },
): Known => ({
  ...{ kind, format, mediaType, extensions: [extension], called, matches: (bytes) => has(bytes, 'PK\x03\x04') },
});

const known: Known[] = [
  image('image/png', ['.png'], 'a PNG image', (bytes) => has(bytes, '\x89PNG\r\n\x1a\n')),
  image('image/jpeg', ['.jpg', '.jpeg'], 'a JPEG image', (bytes) => has(bytes, '\xff\xd8\xff')),
  image('image/gif', ['.gif'], 'a GIF image', (bytes) => has(bytes, 'GIF87a') || has(bytes, 'GIF89a')),
  image('image/webp', ['.webp'], 'a WebP image', (bytes) => has(bytes, 'RIFF') && has(bytes, 'WEBP', 8)),
  {
    kind: 'DOCUMENT',
    mediaType: 'application/pdf',
    format: 'pdf',
    extensions: ['.pdf'],
    called: 'a PDF document',
    matches: isPdf,
  },
  archive('docx', `${officeOpen}wordprocessingml.document`, { extension: '.docx', called: 'a DOCX document' }),
  archive('xlsx', `${officeOpen}spreadsheetml.sheet`, {
    extension: '.xlsx',
    called: 'an XLSX workbook',
    kind: 'TABULAR',
  }),
  archive('pptx', `${officeOpen}presentationml.presentation`, { extension: '.pptx', called: 'a PPTX presentation' }),
  archive('odf', `${openDocument}text`, { extension: '.odt', called: 'an OpenDocument text' }),
  archive('odf', `${openDocument}spreadsheet`, {
    extension: '.ods',
    called: 'an OpenDocument spreadsheet',
    kind: 'TABULAR',
  }),
  archive('odf', `${openDocument}presentation`, { extension: '.odp', called: 'an OpenDocument presentation' }),
  archive('epub', 'application/epub+zip', { extension: '.epub', called: 'an EPUB book' }),
  {
    kind: 'DOCUMENT',
    mediaType: 'application/rtf',
    format: 'rtf',
    extensions: ['.rtf'],
    called: 'an RTF document',
    matches: isRtf,
  },
  {
    kind: 'DOCUMENT',
    mediaType: 'message/rfc822',
    format: 'eml',
    extensions: ['.eml'],
    called: 'an e-mail message',
    matches: isMessage,
  },
  { ...plain, kind: 'DOCUMENT', mediaType: 'text/html', format: 'html', extensions: ['.html', '.htm'] },
  { ...plain, kind: 'TABULAR', mediaType: 'text/csv', format: 'csv', extensions: ['.csv'] },
  { ...plain, kind: 'TABULAR', mediaType: 'text/tab-separated-values', format: 'csv', extensions: ['.tsv'] },
  { ...plain, mediaType: 'application/json', format: 'json', extensions: ['.json'] },
  { ...plain, mediaType: 'text/markdown', format: 'markdown', extensions: ['.md', '.markdown'] },
  plain,
];

/** The accepted media types with their extensions. Text is accepted with any other extension too. */
export const acceptedTypes: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  known.map(({ mediaType, extensions }) => [mediaType, extensions]),
);

/**
 * RTF is also text, so a file with another extension would be stored with its control codes. Word saves RTF files as
 * `.doc`.
 */
const rtf: FileType = { kind: 'DOCUMENT', mediaType: 'application/rtf', format: 'rtf' };

/** For a file with an unknown extension whose content is not text. */
export const unsupportedType = 'is of a type that is not supported';

/** Returns the extension in lower case with the dot, or an empty text. */
export const extensionOf = (name: string): string => /\.[^.]*$/.exec(name)?.[0].toLowerCase() ?? '';

/**
 * Returns the type of a file: determined by its extension, which the content must match. A file with an unknown
 * extension is text if its content is. `unsupported` is the reason for the user.
 */
export function kindOf(name: string, bytes: Uint8Array): FileType | { unsupported: string } {
  const extension = extensionOf(name);
  const named = known.find(({ extensions }) => extensions.includes(extension));
  const { kind, mediaType, format, called, matches = looksLikeText } = named ?? plain;
  if (matches(bytes)) return isRtf(bytes) ? rtf : { kind, mediaType, format };
  return { unsupported: named ? `is not ${called}` : unsupportedType };
}

/**
 * Returns the name of a file in NFC, without the folders that a client may have put before it (RFC 7578, section 4.2).
 * Returns null when the rest is empty or not a valid name: '.', '..', control characters, lone surrogates, more than
 * 255 characters (UTF-16 code units).
 */
export function baseName(name: string): string | null {
  if (/\p{Cc}/u.test(name) || !name.isWellFormed()) return null;
  const base = (name.split(/[/\\]/).at(-1) ?? '').normalize('NFC').trim();
  return base === '' || base === '.' || base === '..' || base.length > 255 ? null : base;
}

/** The position up to which a file can contain "%PDF-". */
const PDF_HEADER = 1024;

/** Number of bytes at the beginning of a message that are examined. */
const MESSAGE_HEADER = 1024;

function isPdf(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, PDF_HEADER)).includes('%PDF-');
}

function isRtf(bytes: Uint8Array): boolean {
  return has(bytes, '{\\rtf');
}

/**
 * Returns whether a file begins with the headers of a message (RFC 5322). Mailboxes put a `From ` line before the
 * headers.
 */
function isMessage(bytes: Uint8Array): boolean {
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, MESSAGE_HEADER)).toString('latin1');
  return /^\s*(?:>?From [^\n]*\n)?[!-9;-~]+:/.test(start);
}
