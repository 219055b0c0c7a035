import { withoutControls } from '../../../unicode.ts';
import type { Format } from './kinds.ts';
import { checkLength, UnreadableError } from './unreadable.ts';

type Read = (bytes: Uint8Array, charset: string | null) => string | Promise<string>;

/** The reader of a format is loaded with the first file of that format. */
const readers: Record<Format, Read> = {
  pdf: async (bytes) => (await import('./pdf.ts')).textOfPdf(bytes),
  docx: async (bytes) => (await import('./docx.ts')).textOfDocx(bytes),
  xlsx: async (bytes) => (await import('./xlsx.ts')).textOfXlsx(bytes),
  pptx: async (bytes) => (await import('./pptx.ts')).textOfPptx(bytes),
  odf: async (bytes) => (await import('./odf.ts')).textOfOdf(bytes),
  epub: async (bytes) => (await import('./epub.ts')).textOfEpub(bytes),
  eml: async (bytes) => (await import('./eml.ts')).textOfEml(bytes),
  rtf: async (bytes) => (await import('./rtf.ts')).textOfRtf(bytes),
  html: async (bytes, charset) => (await import('./html.ts')).textOfHtml(await decode(bytes, charset)),
  article: async (bytes, charset) => (await import('./article.ts')).textOfArticle(await decode(bytes, charset)),
  json: async (bytes, charset) => checkJson(await decode(bytes, charset)),
  csv: decode,
  markdown: decode,
  text: decode,
  image: () => '',
};

/**
 * Returns the text of a file in NFC, as Markdown if the format has headings and tables: at most 2,000,000 characters,
 * without control characters and terminal color codes. Can take unlimited time and memory, so it runs in a process
 * where both are limited. The caller must not use the bytes afterwards. `charset` is the encoding that the sender of a
 * text declared.
 *
 * Throws UnreadableError when the file is not readable (a password, too many pages, no text), and any error of a parser
 * when the file is corrupt.
 */
export async function readText(format: Format, bytes: Uint8Array, charset: string | null = null): Promise<string> {
  const read = await readers[format](bytes, charset);
  const text = withoutControls(read).toWellFormed().normalize('NFC');
  checkLength(text.length);
  if (text.trim() === '') throw new UnreadableError('contains no readable text');
  return text;
}

/** Decodes a text and removes its control characters before it is parsed, because no format uses them. */
async function decode(bytes: Uint8Array, charset: string | null): Promise<string> {
  const { decodeText } = await import('./encoding.ts');
  return withoutControls(await decodeText(bytes, charset));
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
