import { getDocumentProxy } from 'unpdf';
import { checkLength, UnreadableError } from './unreadable.ts';

type Document = Awaited<ReturnType<typeof getDocumentProxy>>;

/** Maximum number of pages. */
const maxPages = 1000;

/** An image is a stream, so its dictionary is never compressed. */
const image = /\/Subtype\s*\/Image\b/;

/** Disables the parser's log. */
const SILENT = 0;

/**
 * Returns the text of a PDF document, with pages separated by blank lines. A document that opens without a password is
 * read regardless of its permission settings. Throws UnreadableError for a scanned document without recognized text.
 */
export async function textOfPdf(bytes: Uint8Array): Promise<string> {
  const hasImages = image.test(Buffer.from(bytes).toString('latin1'));
  const document = await open(bytes);
  if (document.numPages > maxPages) throw new UnreadableError(`has more than ${maxPages.toLocaleString('en')} pages`);
  const pages: string[] = [];
  let length = 0;
  for (let number = 1; number <= document.numPages; number++) {
    const text = (await textOfPage(document, number, length)).trim();
    if (text === '') continue;
    pages.push(text);
    length += text.length;
  }
  if (pages.length === 0 && hasImages)
    throw new UnreadableError(
      'contains no readable text: its pages are scanned images. Run text recognition (OCR) on the file first',
    );
  return pages.join('\n\n');
}

async function open(bytes: Uint8Array): Promise<Document> {
  try {
    return await getDocumentProxy(bytes, { verbosity: SILENT });
  } catch (error) {
    if (error instanceof Error && error.name === 'PasswordException') throw new UnreadableError('is encrypted');
    throw error;
  }
}

/** `before` is the number of characters on the previous pages. */
async function textOfPage(document: Document, number: number, before: number): Promise<string> {
  const page = await document.getPage(number);
  const reader = page.streamTextContent().getReader();
  let text = '';
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    for (const item of part.value.items) if ('str' in item) text += item.hasEOL ? `${item.str}\n` : item.str;
    checkLength(before + text.length);
  }
  page.cleanup();
  return text;
}
