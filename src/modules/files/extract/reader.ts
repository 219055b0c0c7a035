import { encodingOf, type Format } from './kinds.ts';
import { checkLength, UnreadableError } from './unreadable.ts';

type Read = (bytes: Uint8Array) => string | Promise<string>;

/** What reads a format is loaded when the first file of it comes. */
const readers: Record<Format, Read> = {
  pdf: async (bytes) => (await import('./pdf.ts')).textOfPdf(bytes),
  docx: async (bytes) => (await import('./docx.ts')).textOfDocx(bytes),
  html: async (bytes) => (await import('./html.ts')).textOfHtml(decode(bytes)),
  article: async (bytes) => (await import('./article.ts')).textOfArticle(decode(bytes)),
  json: (bytes) => checkJson(decode(bytes)),
  csv: decode,
  markdown: decode,
  text: decode,
  image: () => '',
};

/**
 * The text of a file, as Markdown where the format has headings and tables: at most 2,000,000 characters. It may take
 * any time and any memory, so it runs where both are limited. The bytes are the reader's from then on.
 *
 * Throws UnreadableError when the file says no (a password, too many pages, no text), and whatever a parser throws
 * when the file is broken.
 */
export async function readText(format: Format, bytes: Uint8Array): Promise<string> {
  const text = (await readers[format](bytes)).replaceAll('\0', '').toWellFormed();
  checkLength(text.length);
  if (text.trim() === '') throw new UnreadableError('holds no text that could be read');
  return text;
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder(encodingOf(bytes)).decode(bytes);
}

function checkJson(text: string): string {
  checkLength(text.length);
  if (text.trim() === '') return text;
  try {
    JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) throw new UnreadableError('is not valid JSON');
    throw error;
  }
  return text;
}
