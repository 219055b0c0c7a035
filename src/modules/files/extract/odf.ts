import { type Parts, unpack } from './archive.ts';
import { Blocks, heading, link, oneLine, table } from './markdown.ts';
import { checkLength, UnreadableError } from './unreadable.ts';
import { writeNumber } from './word-numbering.ts';
import { childrenOf, descendants, type Element, elementsOf, find, parseXml, textWithin } from './xml.ts';

/** Maximum number of repetitions of a cell or row. Tables store identical cells and rows once, with a count. */
const maxRepeated = 1000;

/**
 * Elements without visible text: text deleted with tracked changes, settings, and alternative descriptions of images.
 */
const unseen = new Set([
  ...[
    'text:tracked-changes',
    'text:sequence-decls',
    'text:variable-decls',
    'text:user-field-decls',
    'text:bibliography-source',
  ],
  ...['office:forms', 'office:event-listeners', 'table:content-validations', 'table:named-expressions', 'table:shapes'],
  ...[
    'svg:title',
    'svg:desc',
    'draw:image',
    'presentation:settings',
    'text:table-of-content-source',
    'text:dde-connection-decls',
  ],
  ...['dc:creator', 'dc:date', 'meta:creator-initials', 'office:scripts'],
]);

/** Maps number formats to their names in WordprocessingML. */
const numberFormats: Readonly<Record<string, string>> = {
  ...{ '1': 'decimal', a: 'lowerLetter', A: 'upperLetter', i: 'lowerRoman', I: 'upperRoman' },
};

/**
 * Returns the text of an OpenDocument text, spreadsheet or presentation as Markdown: headings, lists with their numbers,
 * tables, notes, comments, text boxes, charts, and headers and footers.
 */
export function textOfOdf(bytes: Uint8Array): string {
  const parts = unpack(bytes, (name) => /(?:^|\/)(?:content|styles|manifest)\.xml$/.test(name) || name === 'mimetype');
  const manifest = parts.get('META-INF/manifest.xml');
  if (manifest && !descendants(parseXml(manifest), 'manifest:encryption-data').next().done)
    throw new UnreadableError('is encrypted');
  const content = parts.get('content.xml');
  if (!content) throw new UnreadableError('could not be read');
  return new OdfReader(parts, '').read(parseXml(content));
}

interface ListLevel {
  /** Null for a bullet. */
  format: string | null;
  prefix: string;
  suffix: string;
  start: number;
  /** Number of levels that the label shows. */
  shown: number;
}

interface List {
  levels: ReadonlyMap<number, ListLevel>;
  /** The current number of each level, starting with the top level. */
  numbers: number[];
}

class OdfReader {
  private readonly styles: ReadonlyMap<string, ReadonlyMap<number, ListLevel>>;
  /** Lists by style name and, so that they can be continued, by ID. */
  private readonly lists = new Map<string, List>();
  private notes: string[] = [];
  private boxes: string[] = [];
  private noteCount = 0;
  private length = 0;
  private readonly styleRoot: Element | null;
  /** The sheets of a spreadsheet that has more than one. */
  private readonly sheets = new WeakSet<Element>();
  /** Elements that were already read, out of document order. */
  private readonly done = new WeakSet<Element>();

  constructor(
    private readonly parts: Parts,
    /** Folder of the document within the archive. Empty for the main document. */
    private readonly folder: string,
  ) {
    const styles = parts.get(`${folder}styles.xml`);
    this.styleRoot = styles ? parseXml(styles) : null;
    this.styles = listStyles([this.styleRoot, parseXml(parts.get(`${folder}content.xml`) as Uint8Array)]);
  }

  read(root: Element): string {
    const blocks = new Blocks();
    const body = find(root, 'office:body');
    const sheets = childrenOf(find(body, 'office:spreadsheet') ?? null).filter(({ name }) => name === 'table:table');
    if (sheets.length > 1) for (const sheet of sheets) this.sheets.add(sheet);
    for (const text of this.margins('header')) blocks.add(text);
    this.blocks(childrenOf(body ?? null), blocks);
    this.flushNotes(blocks);
    for (const text of this.margins('footer')) blocks.add(text);
    return blocks.toString();
  }

  /** Returns the texts of the headers or footers of all pages, without duplicates. */
  private margins(kind: 'header' | 'footer'): Set<string> {
    const pages = find(this.styleRoot ?? undefined, 'office:master-styles');
    const texts = new Set<string>();
    for (const page of pages ? descendants(pages, 'style:master-page') : [])
      for (const element of elementsOf(page))
        if (
          new RegExp(`^style:${kind}(?:-left|-first)?$`).test(element.name) &&
          element.attributes['style:display'] !== 'false'
        ) {
          const text = this.textOf(element);
          if (text !== '') texts.add(text);
        }
    return texts;
  }

  private textOf(element: Element): string {
    return Blocks.join((blocks) => this.blocks(elementsOf(element), blocks));
  }

  private blocks(elements: readonly Element[], blocks: Blocks): void {
    for (const element of elements) {
      const { name, attributes } = element;
      if (unseen.has(name) || this.done.has(element) || isRepeated(element)) continue;
      if (name === 'text:p') this.paragraph(element, blocks);
      else if (name === 'text:h') {
        const text = this.inline(element);
        this.flushNotes(blocks);
        blocks.add(heading(Number(attributes['text:outline-level'] ?? 1) || 1, text));
        this.flushBoxes(blocks);
      } else if (name === 'text:list') this.list(element, blocks, null, 0);
      else if (name === 'table:table') {
        // A sheet is identified by its name. The names of tables in a text document are not visible.
        if (this.sheets.has(element)) blocks.add(heading(2, attributes['table:name'] ?? ''));
        this.table(element, blocks);
      } else if (name === 'draw:page') {
        blocks.add(heading(2, this.pageTitle(element)));
        this.blocks(elementsOf(element), blocks);
      } else if (name === 'presentation:notes') {
        const notes = oneLine(
          this.textOf({
            ...element,
            children: elementsOf(element).filter((child) => child.name !== 'draw:page-thumbnail'),
          }),
        );
        if (notes !== '') blocks.add(`Notes: ${notes}`);
      } else if (name === 'draw:object') blocks.add(this.object(element));
      else if (name === 'office:annotation') this.annotation(element);
      else this.blocks(elementsOf(element), blocks);
    }
  }

  /** Returns the title of a slide, which becomes its heading. */
  private pageTitle(page: Element): string {
    const frame = elementsOf(page).find(({ attributes }) => attributes['presentation:class'] === 'title');
    if (!frame) return '';
    const text = this.textOf(frame);
    this.done.add(frame);
    return text;
  }

  private paragraph(element: Element, blocks: Blocks): void {
    blocks.add(this.inline(element));
    this.flushBoxes(blocks);
  }

  private flushBoxes(blocks: Blocks): void {
    for (const text of this.boxes.splice(0)) blocks.add(text);
  }

  private flushNotes(blocks: Blocks): void {
    for (const text of this.notes.splice(0)) blocks.add(text);
  }

  private inline(element: Element): string {
    const text = this.runs(element).replace(/[ \t]+$/gm, '');
    this.length += text.length;
    checkLength(this.length);
    return text;
  }

  private runs(parent: Element): string {
    let text = '';
    // Consecutive white space counts as one space. Additional spaces are written as elements.
    for (const child of parent.children)
      text += typeof child === 'string' ? child.replace(/[\t\r\n ]+/g, ' ') : this.run(child);
    return text;
  }

  private run(element: Element): string {
    const { name, attributes } = element;
    if (unseen.has(name)) return '';
    switch (name) {
      case 'text:s':
        return ' '.repeat(Math.min(Number(attributes['text:c'] ?? 1) || 1, maxRepeated));
      case 'text:tab':
        return '\t';
      case 'text:line-break':
        return '\n';
      case 'text:a':
        return link(this.runs(element), attributes['xlink:href'] ?? '');
      case 'text:note':
        return this.note(element);
      case 'office:annotation':
        this.annotation(element);
        return '';
      case 'text:ruby': {
        const reading = this.runsOf(find(element, 'text:ruby-text'));
        return this.runsOf(find(element, 'text:ruby-base')) + (reading && `(${reading})`);
      }
      case 'text:hidden-text':
        return '';
      case 'draw:a':
        return this.runs(element);
      case 'draw:object':
        this.boxes.push(this.object(element));
        return '';
      default:
        if (!name.startsWith('draw:')) return this.runs(element);
        this.boxes.push(this.apart(() => this.textOf(element)));
        return '';
    }
  }

  private runsOf(element: Element | undefined): string {
    return element ? this.runs(element) : '';
  }

  /** Reads blocks inside a line separately: their text boxes stay with them. */
  private apart(read: () => string): string {
    const boxes = this.boxes;
    this.boxes = [];
    try {
      return read();
    } finally {
      this.boxes = boxes;
    }
  }

  private note(element: Element): string {
    const mark = `[^${++this.noteCount}]`;
    const body = find(element, 'text:note-body');
    const text = body ? this.apart(() => this.textOf(body)) : '';
    if (text !== '') this.notes.push(`${mark}: ${text}`);
    return mark;
  }

  private annotation(element: Element): void {
    const author = oneLine(textWithin(find(element, 'dc:creator')));
    const text = this.apart(() => this.textOf(element));
    if (text !== '') this.notes.push(`${author === '' ? 'Comment' : `Comment by ${author}`}: ${text}`);
  }

  /** Returns the text of a chart or formula, which is a separate document within the archive. */
  private object(element: Element): string {
    const formula = find(element, 'math:math');
    if (formula) return textWithin(formula).replace(/\s+/g, ' ');
    const folder = `${(element.attributes['xlink:href'] ?? '').replace(/^\.\//, '').replace(/\/$/, '')}/`;
    const bytes = this.parts.get(folder + 'content.xml');
    // Objects inside an object are not read, because an object could contain itself.
    if (!bytes || this.folder !== '' || folder === '/') return '';
    const root = parseXml(bytes);
    const text =
      root.name === 'math:math' ? textWithin(root).replace(/\s+/g, ' ') : new OdfReader(this.parts, folder).read(root);
    this.length += text.length;
    checkLength(this.length);
    return text;
  }

  private list(element: Element, blocks: Blocks, outer: List | null, depth: number): void {
    const list = outer ?? this.listOf(element);
    for (const item of elementsOf(element)) {
      if (item.name !== 'text:list-item' && item.name !== 'text:list-header') continue;
      let label = item.name === 'text:list-item' ? this.label(list, depth, item.attributes['text:start-value']) : '';
      for (const child of elementsOf(item)) {
        if (child.name === 'text:list') {
          this.list(child, blocks, this.ownStyle(child) ?? list, depth + 1);
          continue;
        }
        const text =
          child.name === 'text:p' || child.name === 'text:h'
            ? this.inline(child)
            : this.textOf({ ...item, children: [child] });
        const indent = '  '.repeat(Math.min(depth, 9));
        const written = `${label} ${text.trim()}`.trim().replaceAll('\n', `\n${indent}  `);
        if (text.trim() !== '') blocks.add(`${indent}${label === '' ? '  ' : ''}${written}`, { isItem: true });
        if (text.trim() !== '') label = '';
        this.flushBoxes(blocks);
      }
    }
  }

  /** Returns the list that an element starts or continues. */
  private listOf({ attributes }: Element): List {
    const style = attributes['text:style-name'] ?? '';
    const continued = attributes['text:continue-list'];
    const before = continued !== undefined ? this.lists.get(`id ${continued}`) : this.lists.get(`style ${style}`);
    const goesOn = continued !== undefined || attributes['text:continue-numbering'] === 'true';
    const list: List = before && goesOn ? before : { levels: this.styles.get(style) ?? new Map(), numbers: [] };
    this.lists.set(`style ${style}`, list);
    if (attributes['xml:id'] !== undefined) this.lists.set(`id ${attributes['xml:id']}`, list);
    return list;
  }

  private ownStyle({ attributes }: Element): List | null {
    const levels = this.styles.get(attributes['text:style-name'] ?? '');
    return levels ? { levels, numbers: [] } : null;
  }

  private label({ levels, numbers }: List, depth: number, startValue: string | undefined): string {
    const level = levels.get(depth);
    numbers.length = Math.min(numbers.length, depth + 1);
    while (numbers.length < depth) numbers.push(levels.get(numbers.length)?.start ?? 1);
    const start = startValue === undefined ? null : Number(startValue) || 0;
    numbers[depth] = start ?? (numbers[depth] ?? (level?.start ?? 1) - 1) + 1;
    if (!level || level.format === null) return '-';
    const shown = numbers.slice(Math.max(0, depth + 1 - level.shown));
    const written = shown.map((number, at) =>
      writeNumber(number, levels.get(depth + 1 - shown.length + at)?.format ?? 'decimal'),
    );
    return `${level.prefix}${written.join('.')}${level.suffix}`.trim();
  }

  private table(element: Element, blocks: Blocks): void {
    const rows = [...this.rowsOf(element)];
    const cells = rows.flatMap((row) => elementsOf(row)).filter(({ name }) => name === 'table:table-cell');
    if (cells.some((cell) => !descendants(cell, 'table:table').next().done)) {
      for (const cell of cells) this.blocks(elementsOf(cell), blocks);
      return;
    }
    const written: string[][] = [];
    for (const row of rows) {
      const texts = this.cellsOf(row);
      if (texts.every((text) => text === '')) continue;
      const times = repeated(row.attributes['table:number-rows-repeated']);
      for (let time = 0; time < times; time++) {
        written.push(texts);
        this.length += texts.join('').length;
      }
      checkLength(this.length);
    }
    const width = written.reduce((most, row) => Math.max(most, row.length), 0);
    const used = Array.from({ length: width }, (_, at) => at).filter((at) =>
      written.some((row) => (row[at] ?? '') !== ''),
    );
    checkLength(written.length * used.length * 2);
    blocks.add(table(written.map((row) => used.map((at) => row[at] ?? ''))));
    this.flushBoxes(blocks);
  }

  private *rowsOf(parent: Element): Generator<Element> {
    for (const element of elementsOf(parent))
      if (element.name === 'table:table-row') yield element;
      else if (/^table:table-(?:header-rows|rows|row-group)$/.test(element.name)) yield* this.rowsOf(element);
  }

  private cellsOf(row: Element): string[] {
    const texts: string[] = [];
    for (const cell of elementsOf(row)) {
      if (cell.name !== 'table:table-cell' && cell.name !== 'table:covered-table-cell') continue;
      const text = cell.name === 'table:table-cell' ? oneLine(this.apart(() => this.textOf(cell))) : '';
      const times = repeated(cell.attributes['table:number-columns-repeated']);
      for (let time = 0; time < times; time++) texts.push(text);
    }
    while (texts.at(-1) === '') texts.pop();
    return texts;
  }
}

/** Placeholders that are repeated on every slide: the slide number and the date. */
const isRepeated = ({ attributes }: Element): boolean =>
  /^(?:page-number|date-time)$/.test(attributes['presentation:class'] ?? '');

const repeated = (times: string | undefined): number => Math.min(Math.max(Number(times ?? 1) || 1, 1), maxRepeated);

/** Returns the levels of the list styles of a document, by style name. */
function listStyles(roots: readonly (Element | null)[]): Map<string, ReadonlyMap<number, ListLevel>> {
  const styles = new Map<string, ReadonlyMap<number, ListLevel>>();
  for (const root of roots)
    for (const style of root ? descendants(root, 'text:list-style') : [])
      styles.set(
        style.attributes['style:name'] ?? '',
        new Map(
          elementsOf(style).map(({ name, attributes }) => [
            (Number(attributes['text:level'] ?? 1) || 1) - 1,
            {
              format:
                name === 'text:list-level-style-number'
                  ? (numberFormats[attributes['style:num-format'] ?? ''] ?? 'decimal')
                  : null,
              prefix: attributes['style:num-prefix'] ?? '',
              suffix: attributes['style:num-suffix'] ?? '',
              start: Number(attributes['text:start-value'] ?? 1) || 1,
              shown: Math.min(Math.max(Number(attributes['text:display-levels'] ?? 1) || 1, 1), 10),
            },
          ]),
        ),
      );
  return styles;
}
