import PostalMime, { type Address, type Email } from 'postal-mime';
import { withWindows1252 } from '../../../unicode.ts';
import { textOfHtml } from './html.ts';
import { heading, oneLine } from './markdown.ts';

/**
 * Returns the text of an e-mail message as Markdown: the subject as a heading, the sender, recipients and date, the
 * body, and the names of the attachments, whose content is not read. If a message has both plain text and HTML, the
 * plain text is used unless it is empty.
 */
export async function textOfEml(bytes: Uint8Array): Promise<string> {
  const email = await PostalMime.parse(bytes, { maxNestingDepth: 50 });
  const plain = email.text?.trim();
  const body = plain || (email.html ? textOfHtml(email.html) : '');
  const attached = email.attachments.map(({ filename }) => oneLine(filename ?? '')).filter(Boolean);
  const text = [
    heading(1, email.subject ?? ''),
    linesOf(email),
    body,
    attached.length > 0 ? `Attachments: ${attached.join(', ')}` : '',
  ];
  // `TextDecoder` in Node 20 decodes Windows-1252 as Latin-1.
  return withWindows1252(text.filter(Boolean).join('\n\n').replaceAll('\r\n', '\n'));
}

const linesOf = ({ from, to, cc, date }: Email): string =>
  [
    ['From', from ? [from] : []],
    ['To', to ?? []],
    ['Cc', cc ?? []],
    ['Date', date ? [date] : []],
  ]
    .map(([name, values]) => [name, (values as (Address | string)[]).map(shown).filter(Boolean).join(', ')])
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name}: ${value}`)
    .join('\n');

function shown(address: Address | string): string {
  if (typeof address === 'string') return address;
  if (address.group) return `${oneLine(address.name)}: ${address.group.map(shown).join(', ')}`;
  const name = oneLine(address.name);
  return name === '' ? address.address : `${name} <${address.address}>`;
}
