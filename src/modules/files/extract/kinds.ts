import { isUtf8 } from 'node:buffer';
import type { FileKind } from '../../../generated/prisma/enums.ts';

/** How a file is read. An `article` is HTML of which the main text counts, without menus and the like. */
export type Format = 'image' | 'pdf' | 'docx' | 'html' | 'article' | 'csv' | 'json' | 'markdown' | 'text';

/** What a file is, by its name and its content. */
export interface FileType {
  kind: FileKind;
  mediaType: string;
  format: Format;
}

interface Known extends FileType {
  /** With a dot, in lower case; the usual one first. */
  extensions: string[];
  /** Completes "the file is not a …". */
  called: string;
  /** Whether the content is of this type, where it begins like nothing else. Of the others, the content is text. */
  matches?: (bytes: Uint8Array) => boolean;
}

const plain: Known = {
  kind: 'PLAIN_TEXT',
  mediaType: 'text/plain',
  format: 'text',
  extensions: ['.txt', '.text', '.log'],
  called: 'text file in UTF-8',
};

const image = (mediaType: string, extensions: string[], called: string, matches: Known['matches']): Known => ({
  ...{ kind: 'IMAGE', format: 'image', mediaType, extensions, called, matches },
});

const known: Known[] = [
  image('image/png', ['.png'], 'PNG image', (bytes) => has(bytes, '\x89PNG\r\n\x1a\n')),
  image('image/jpeg', ['.jpg', '.jpeg'], 'JPEG image', (bytes) => has(bytes, '\xff\xd8\xff')),
  image('image/gif', ['.gif'], 'GIF image', (bytes) => has(bytes, 'GIF87a') || has(bytes, 'GIF89a')),
  image('image/webp', ['.webp'], 'WebP image', (bytes) => has(bytes, 'RIFF') && has(bytes, 'WEBP', 8)),
  {
    kind: 'DOCUMENT',
    mediaType: 'application/pdf',
    format: 'pdf',
    extensions: ['.pdf'],
    called: 'PDF document',
    matches: isPdf,
  },
  {
    kind: 'DOCUMENT',
    mediaType: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
    format: 'docx',
    extensions: ['.docx'],
    called: 'DOCX document',
    matches: (bytes) => has(bytes, 'PK\x03\x04'),
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
  const { kind, mediaType, format, called, matches = isText } = named ?? plain;
  if (matches(bytes)) return { kind, mediaType, format };
  return { unsupported: named ? `is not a ${called}` : unsupportedType };
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

/** The encoding that a text's byte order mark names, UTF-8 without one. */
export function encodingOf(bytes: Uint8Array): 'utf-8' | 'utf-16le' | 'utf-16be' {
  if (has(bytes, '\xff\xfe')) return 'utf-16le';
  return has(bytes, '\xfe\xff') ? 'utf-16be' : 'utf-8';
}

/** How far into a file its "%PDF-" may stand. */
const PDF_HEADER = 1024;

function isPdf(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, PDF_HEADER)).includes('%PDF-');
}

/** Well-formed UTF-8 or marked UTF-16 without control characters, which is not a PDF under another name. */
function isText(bytes: Uint8Array): boolean {
  const encoding = encodingOf(bytes);
  if (encoding === 'utf-8') return isUtf8(bytes) && !hasControls(bytes) && !has(bytes, '%PDF-');
  try {
    return !hasControls(new TextDecoder(encoding, { fatal: true }).decode(bytes));
  } catch {
    return false;
  }
}

/** C0 controls but for tab, line feed, form feed and carriage return. */
function hasControls(text: Uint8Array | string): boolean {
  for (let at = 0; at < text.length; at++) {
    const unit = typeof text === 'string' ? text.charCodeAt(at) : (text[at] as number);
    if (unit < 0x20 && unit !== 0x09 && unit !== 0x0a && unit !== 0x0c && unit !== 0x0d) return true;
  }
  return false;
}

/** Whether the bytes have these Latin-1 characters at an offset. */
function has(bytes: Uint8Array, characters: string, offset = 0): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    .subarray(offset, offset + characters.length)
    .equals(Buffer.from(characters, 'latin1'));
}
