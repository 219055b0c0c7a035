import { type Parts, unpack } from './archive.ts';
import { decodeText } from './encoding.ts';
import { textOfHtml } from './html.ts';
import { heading, oneLine } from './markdown.ts';
import { checkLength, UnreadableError } from './unreadable.ts';
import { descendants, elementsOf, find, parseXml, textWithin } from './xml.ts';

const isRead = (name: string) => /\.(?:xhtml|html?|xml|opf)$/i.test(name);

/** Algorithms that obfuscate only the fonts of a book, not its text. */
const ofFonts = /^http:\/\/(?:www\.idpf\.org\/2008\/embedding|ns\.adobe\.com\/pdf\/enc#RC)$/;

/** Elements that can be self-closing in XML but not in HTML. */
const selfClosed =
  /<(?!(?:area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr)\b)([a-z][\w:-]*)(\s[^<>]*)?\/>/gi;

/** The head of a page. Its title only repeats the title of the book or the first heading. */
const head = /<head\b[^>]*>[\s\S]*?<\/head\s*>/i;

/**
 * Returns the text of a book as Markdown: its title, then each chapter in reading order. Throws UnreadableError for an
 * encrypted book.
 */
export async function textOfEpub(bytes: Uint8Array): Promise<string> {
  const parts = unpack(bytes, isRead);
  checkReadable(parts);
  const container = parts.get('META-INF/container.xml');
  const [root] = container ? [...descendants(parseXml(container), 'container:rootfile')] : [];
  const path = root?.attributes['full-path'] ?? '';
  const bytesOfPackage = parts.get(path);
  if (!bytesOfPackage) throw new UnreadableError('could not be read');
  const opf = parseXml(bytesOfPackage);
  const folder = path.slice(0, path.lastIndexOf('/') + 1);
  const manifest = find(opf, 'opf:manifest');
  const targets = new Map(
    (manifest ? elementsOf(manifest) : []).map(({ attributes: { id = '', href = '' } }) => [id, href]),
  );
  const spine = find(opf, 'opf:spine');
  const [title] = [...descendants(opf, 'dc:title')].map((each) => oneLine(textWithin(each)));
  const texts = [heading(1, title ?? '')];
  let length = 0;
  for (const { attributes } of spine ? elementsOf(spine) : []) {
    const page = parts.get(partAt(folder, targets.get(attributes.idref ?? '') ?? ''));
    if (!page) continue;
    const source = (await decodeText(page)).replace(head, '').replace(selfClosed, '<$1$2></$1>');
    const text = textOfHtml(source);
    length += text.length;
    checkLength(length);
    texts.push(text);
  }
  return texts.filter(Boolean).join('\n\n');
}

function checkReadable(parts: Parts): void {
  const encryption = parts.get('META-INF/encryption.xml');
  if (!encryption) return;
  const methods = [...descendants(parseXml(encryption), 'enc:EncryptionMethod')];
  if (methods.some(({ attributes }) => !ofFonts.test(attributes.Algorithm ?? '')))
    throw new UnreadableError('is encrypted');
}

/** Returns the name of a part from its URL in a part of this folder. */
function partAt(folder: string, href: string): string {
  try {
    return decodeURIComponent(new URL(href, `http://book.invalid/${folder}`).pathname.slice(1));
  } catch {
    return '';
  }
}
