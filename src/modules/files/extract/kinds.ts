import type { FileKind } from '../../../generated/prisma/enums.ts';
import { has, looksLikeText } from './text-bytes.ts';

/** How a file is read. An `article` is HTML of which the main text counts, without menus and the like. */
export type Format =
  | ('image' | 'pdf' | 'html' | 'article' | 'csv' | 'json' | 'markdown' | 'text')
  | ('docx' | 'xlsx' | 'pptx' | 'odf' | 'epub' | 'eml' | 'rtf');

/** What a file is, by its name and its content. */
export interface FileType {
  kind: FileKind;
  mediaType: string;
  format: Format;
}

interface Known extends FileType {
  /** With a dot, in lower case; the usual one first. */
  extensions: string[];
  /** Completes "the file is not …". */
  called: string;
  /** Whether the content is of this type, where it begins like nothing else. Of the others, the content is text. */
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

/** A document that is a ZIP archive of its parts. */
const archive = (
  format: Format,
  mediaType: string,
  extension: string,
  called: string,
  kind: FileKind = 'DOCUMENT',
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
  archive('docx', `${officeOpen}wordprocessingml.document`, '.docx', 'a DOCX document'),
  archive('xlsx', `${officeOpen}spreadsheetml.sheet`, '.xlsx', 'an XLSX workbook', 'TABULAR'),
  archive('pptx', `${officeOpen}presentationml.presentation`, '.pptx', 'a PPTX presentation'),
  archive('odf', `${openDocument}text`, '.odt', 'an OpenDocument text'),
  archive('odf', `${openDocument}spreadsheet`, '.ods', 'an OpenDocument spreadsheet', 'TABULAR'),
  archive('odf', `${openDocument}presentation`, '.odp', 'an OpenDocument presentation'),
  archive('epub', 'application/epub+zip', '.epub', 'an EPUB book'),
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

/** The media types that are taken, each with its extensions. Text is taken under any other extension too. */
export const acceptedTypes: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  known.map(({ mediaType, extensions }) => [mediaType, extensions]),
);

/** What is text too, and would be stored with its codes under another name: Word saves it as `.doc`. */
const rtf: FileType = { kind: 'DOCUMENT', mediaType: 'application/rtf', format: 'rtf' };

/** Of a file whose extension says nothing, and whose content is not text. */
export const unsupportedType = 'is of a type that is not supported';

/** With its dot, in lower case; empty where there is none. */
export const extensionOf = (name: string): string => /\.[^.]*$/.exec(name)?.[0].toLowerCase() ?? '';

/**
 * What a file is: its extension says it, and its content has to agree. A name that says nothing is text if the content
 * is. `unsupported` is the reason for the user.
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
 * Null when nothing is left, or what is left cannot be a name: '.', '..', control characters, lone surrogates, more than
 * 255 characters (UTF-16 units).
 */
export function baseName(name: string): string | null {
  if (/\p{Cc}/u.test(name) || !name.isWellFormed()) return null;
  const base = (name.split(/[/\\]/).at(-1) ?? '').normalize('NFC').trim();
  return base === '' || base === '.' || base === '..' || base.length > 255 ? null : base;
}

/** How far into a file its "%PDF-" may stand. */
const PDF_HEADER = 1024;

/** How much of a message is looked at. */
const MESSAGE_HEADER = 1024;

function isPdf(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, PDF_HEADER)).includes('%PDF-');
}

function isRtf(bytes: Uint8Array): boolean {
  return has(bytes, '{\\rtf');
}

/** Whether a file begins with the headers of a message (RFC 5322), of which mailboxes put a line in front. */
function isMessage(bytes: Uint8Array): boolean {
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, MESSAGE_HEADER)).toString('latin1');
  return /^\s*(?:>?From [^\n]*\n)?[!-9;-~]+:/.test(start);
}
