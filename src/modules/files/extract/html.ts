import Turndown from 'turndown';
import { UnreadableError } from './unreadable.ts';

/** As deep as browsers nest elements before they give up. */
const DEPTH = 512;

/** What a reader of the page does not see, and pictures. */
const dropped = new Set(['script', 'style', 'noscript', 'template', 'iframe', 'object', 'canvas', 'svg', 'img']);

/** What stands by itself, though the parser takes it for a part of a line. */
const apart = ['title', 'caption', 'summary', 'legend', 'option', 'textarea'] as const;

/** Nothing is fetched, whatever the page refers to: it is parsed, not loaded. */
const markdown = new Turndown({
  ...{ headingStyle: 'atx', codeBlockStyle: 'fenced', bulletListMarker: '-', emDelimiter: '*', hr: '---' },
})
  .addRule('dropped', { filter: ({ nodeName }) => dropped.has(nodeName.toLowerCase()), replacement: () => '' })
  .addRule('apart', { filter: [...apart], replacement: (content) => `\n\n${content}\n\n` })
  .addRule('heading', {
    filter: ['h1', 'h2', 'h3', 'h4', 'h5', 'h6'],
    replacement: (content, node) => `\n\n${'#'.repeat(Number(node.nodeName[1]))} ${line(content)}\n\n`,
  })
  .addRule('link', { filter: 'a', replacement: link })
  .addRule('cell', {
    filter: ['td', 'th'],
    replacement: (content, node) =>
      isGrid(node) ? ` ${line(content).replaceAll('|', '\\|')} |` : `\n\n${content}\n\n`,
  })
  .addRule('tableRow', { filter: 'tr', replacement: tableRow })
  .addRule('tablePart', { filter: ['thead', 'tbody', 'tfoot'], replacement: (content) => content });

/** Text stays as it is written: it is searched and quoted, and a backslash before its underscores would be in the way. */
markdown.escape = (text) => text;

/**
 * The text of a page as Markdown: headings, lists, links with an address, tables.
 * Throws UnreadableError for a page with elements more than 512 deep.
 */
export function textOfHtml(page: string): string {
  checkDepth(page);
  // The parser's own wrapper, which a page must not close.
  const text = markdown.turndown(page.replace(/<(\/?)x-turndown/gi, '<$1x-page'));
  return text
    .replace(/^[ \t]+$/gm, '')
    .replace(/\n{3,}/g, '\n\n')
    .trim();
}

/** Links within the page, around blocks, and such as cannot be followed, are their text. A footnote's way back is nothing. */
function link(content: string, node: HTMLElement): string {
  const address = node.getAttribute('href')?.trim() ?? '';
  if (/^#(?:footnote|endnote)-ref-/.test(address)) return '';
  const followed = /^(?:https?:|mailto:)[^\s()<>]+$/i.test(address);
  return followed && content !== '' && !content.includes('\n') ? `[${content}](${address})` : content;
}

/** The first row of a table is its head: Markdown has no table without one. */
function tableRow(content: string, node: HTMLElement): string {
  const table = node.closest('table');
  if (!table || !isGrid(node)) return `\n${content}\n`;
  const head = table.querySelector('tr') === node ? `|${' --- |'.repeat(node.children.length)}\n` : '';
  return `|${content}\n${head}`;
}

const grids = new WeakMap<HTMLTableElement, boolean>();

/** Whether the table around is one of values. One that arranges blocks on the page is read block by block. */
function isGrid(node: HTMLElement): boolean {
  const table = node.closest('table');
  if (!table) return false;
  const is = grids.get(table) ?? !table.querySelector('table, h1, h2, h3, h4, h5, h6, ul, ol, pre, blockquote');
  grids.set(table, is);
  return is;
}

/** One line of what may have been several. */
function line(content: string): string {
  return content.replace(/\s+/g, ' ').trim();
}

/** Elements whose end may be left out: they cannot stand in one another without one that is counted between them. */
const uncounted = new Set(
  'p li dt dd tr td th thead tbody tfoot caption colgroup option optgroup rp rt html head body'.split(' ').concat(
    'area base br col embed hr img input link meta param source track wbr'.split(' '), // these hold nothing
  ),
);

/** Elements whose content is no markup. */
const raw = /^(?:script|style|textarea|title|xmp|iframe|noembed|noframes)$/;

/**
 * Refuses by a look at the tags what would take the parser a time that grows with the square of the depth. Throws
 * UnreadableError for elements more than 512 deep.
 */
export function checkDepth(page: string): void {
  const open: string[] = [];
  const tag = /<(?:!--|(\/?)([a-z][^\s/>]*))/gi;
  for (let match = tag.exec(page); match; match = tag.exec(page)) {
    const [, slash, written] = match;
    const name = written?.toLowerCase();
    if (name === undefined || (!slash && raw.test(name))) {
      const end = name === undefined ? /-->/g : new RegExp(`</${name}`, 'gi');
      end.lastIndex = tag.lastIndex;
      if (!end.test(page)) return;
      tag.lastIndex = end.lastIndex;
    } else if (slash) {
      const at = open.lastIndexOf(name);
      if (at >= 0) open.length = at;
    } else if (!uncounted.has(name) && open.push(name) > DEPTH) {
      throw new UnreadableError('is nested too deeply');
    }
  }
}
