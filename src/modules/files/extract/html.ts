import Turndown from 'turndown';
import { UnreadableError } from './unreadable.ts';

/** The depth at which browsers stop nesting elements. */
const DEPTH = 512;

/** Elements that a reader of the page does not see, and images. */
const dropped = new Set(['script', 'style', 'noscript', 'template', 'iframe', 'object', 'canvas', 'svg', 'img']);

/** Elements that form a block, although the parser treats them as inline. */
const apart = ['title', 'caption', 'summary', 'legend', 'option', 'textarea'] as const;

/** The page is parsed, not loaded: its references are never fetched. */
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

/** Text is kept as written, since it is searched and quoted: escaping underscores would break both. */
markdown.escape = (text) => text;

/**
 * Returns the text of a page as Markdown: headings, lists, links with a URL, tables. Throws UnreadableError for
 * elements nested more than 512 deep.
 */
export function textOfHtml(page: string): string {
  checkDepth(page);
  // The parser's own wrapper element, which a page must not close.
  const text = markdown.turndown(page.replace(/<(\/?)x-turndown/gi, '<$1x-page'));
  return text
    .replace(/^[ \t]+$/gm, '')
    .replace(/\n{3,}/g, '\n\n')
    .trim();
}

/**
 * Links within the page, around blocks and without a usable target are replaced by their text; a footnote's back link
 * is removed.
 */
function link(content: string, node: HTMLElement): string {
  const address = node.getAttribute('href')?.trim() ?? '';
  if (/^#(?:footnote|endnote)-ref-/.test(address)) return '';
  const followed = /^(?:https?:|mailto:)[^\s()<>]+$/i.test(address);
  return followed && content !== '' && !content.includes('\n') ? `[${content}](${address})` : content;
}

/** The first row of a table becomes its header, which Markdown requires. */
function tableRow(content: string, node: HTMLElement): string {
  const table = node.closest('table');
  if (!table || !isGrid(node)) return `\n${content}\n`;
  const head = table.querySelector('tr') === node ? `|${' --- |'.repeat(node.children.length)}\n` : '';
  return `|${content}\n${head}`;
}

const grids = new WeakMap<HTMLTableElement, boolean>();

/** Returns whether the table contains data. A table that is used for layout is read block by block. */
function isGrid(node: HTMLElement): boolean {
  const table = node.closest('table');
  if (!table) return false;
  const is = grids.get(table) ?? !table.querySelector('table, h1, h2, h3, h4, h5, h6, ul, ol, pre, blockquote');
  grids.set(table, is);
  return is;
}

/** Joins lines into one. */
function line(content: string): string {
  return content.replace(/\s+/g, ' ').trim();
}

/** Elements with an optional end tag: they cannot be nested without a counted element between them. */
const uncounted = new Set(
  'p li dt dd tr td th thead tbody tfoot caption colgroup option optgroup rp rt html head body'.split(' ').concat(
    'area base br col embed hr img input link meta param source track wbr'.split(' '), // these are empty
  ),
);

/** Elements whose content is not markup. */
const raw = /^(?:script|style|textarea|title|xmp|iframe|noembed|noframes)$/;

/**
 * Scans the tags and rejects a page for which the parser's time would grow with the square of the depth. Throws
 * UnreadableError for elements nested more than 512 deep.
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
