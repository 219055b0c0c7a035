import { hex as symbolOf } from 'dingbat-to-unicode';
import { graphicText } from './drawing.ts';
import { textOfHtml } from './html.ts';
import { Blocks, heading, link, oneLine, table } from './markdown.ts';
import { OfficePackage } from './office-package.ts';
import { checkLength } from './unreadable.ts';
import { math } from './word-math.ts';
import { WordNumbering } from './word-numbering.ts';
import { isOn, levelOf, numberOf, valueAt, WordStyles } from './word-styles.ts';
import { childrenOf, descendants, type Element, elementsOf, find, textWithin } from './xml.ts';

/** Maximum nesting depth of inserted documents. */
const maxInserted = 2;

/**
 * Elements without visible text: properties, field codes, and text that was deleted or moved away with tracked changes.
 * The content of all other elements is read, including elements with unknown names.
 */
const unseen = new Set(
  [
    ...[
      'rPr',
      'pPr',
      'tblPr',
      'tblGrid',
      'trPr',
      'tcPr',
      'tblPrEx',
      'sectPr',
      'sdtPr',
      'sdtEndPr',
      'rubyPr',
      'customXmlPr',
    ],
    ...['smartTagPr', 'fldData', 'ffData', 'instrText', 'del', 'delText', 'delInstrText', 'moveFrom'],
  ].map((name) => `w:${name}`),
);

/**
 * Returns the text of a Word document as Markdown: everything that is visible on its pages, with headers and footers,
 * notes, comments, text boxes, list numbers, and the texts of charts and diagrams. Hidden text and text deleted with
 * tracked changes are left out. External references are not opened.
 */
export function textOfDocx(bytes: Uint8Array, inserted = 0): string {
  return new WordReader(OfficePackage.open(bytes), inserted).read();
}

/** A complex field. The text before its separator is its code and is not shown. */
interface Field {
  code: string;
  isResult: boolean;
  /** Index at which its result begins, in the paragraph in which the field began. */
  start: number;
}

class WordReader {
  private readonly main: string;
  /** The part that is currently read. IDs refer to the relations of this part. */
  private part: string;
  private readonly styles: WordStyles;
  private readonly numbering: WordNumbering;
  private readonly fields: Field[] = [];
  private readonly noteNumbers = new Map<string, number>();
  private readonly shownComments = new Set<string>();
  /** Notes and comments, and text boxes, that are written after the paragraph that refers to them. */
  private notes: string[] = [];
  private boxes: string[] = [];

  constructor(
    private readonly parts: OfficePackage,
    private readonly inserted: number,
  ) {
    this.main = parts.main();
    this.part = this.main;
    const styles = this.related('styles');
    this.styles = new WordStyles(styles);
    this.numbering = new WordNumbering(this.related('numbering'), this.styles.lists);
  }

  private related(type: string): Element | null {
    return this.parts.read(this.parts.related(this.main, type));
  }

  read(): string {
    const body = find(this.parts.read(this.main) ?? undefined, 'w:body');
    const blocks = new Blocks();
    for (const text of this.margins(body, 'w:headerReference')) blocks.add(text);
    if (body) this.blocks(elementsOf(body), blocks);
    this.flushNotes(blocks);
    for (const text of this.margins(body, 'w:footerReference')) blocks.add(text);
    return blocks.toString();
  }

  /** Returns the texts of the headers or footers that appear on some page, without duplicates. */
  private margins(body: Element | undefined, name: string): string[] {
    const settings = this.related('settings') ?? undefined;
    const relations = this.parts.relationsOf(this.main);
    const texts = new Set<string>();
    for (const section of body ? descendants(body, 'w:sectPr') : [])
      for (const reference of elementsOf(section)) {
        const { 'w:type': type, 'r:id': id = '' } = reference.attributes;
        const isShown =
          type === 'first'
            ? isOn(section, 'w:titlePg')
            : type === 'even'
              ? isOn(settings, 'w:evenAndOddHeaders')
              : true;
        if (reference.name !== name || !isShown) continue;
        const target = relations.get(id)?.target;
        const root = this.parts.read(target);
        if (root && target) texts.add(this.within(target, () => this.textOf(root)));
      }
    return [...texts];
  }

  /** Reads content from another part. */
  private within<T>(part: string, read: () => T): T {
    const before = this.part;
    this.part = part;
    try {
      return read();
    } finally {
      this.part = before;
    }
  }

  /** Returns the blocks in an element as one text. */
  private textOf(element: Element): string {
    return Blocks.join((blocks) => this.blocks(elementsOf(element), blocks));
  }

  private blocks(elements: readonly Element[], blocks: Blocks): void {
    for (const element of elements) {
      const { name } = element;
      if (unseen.has(name)) continue;
      if (name === 'w:p') this.paragraph(element, blocks);
      else if (name === 'w:tbl') this.table(element, blocks);
      else if (name === 'w:altChunk') blocks.add(this.counted(this.insertedText(element)));
      else if (name === 'mc:AlternateContent') this.blocks(elementsOf(chosen(element)), blocks);
      else if (isInline(name)) {
        blocks.add(this.inline(element));
        this.flushBoxes(blocks);
      } else this.blocks(elementsOf(element), blocks);
    }
  }

  private paragraph(element: Element, blocks: Blocks): void {
    const properties = find(element, 'w:pPr');
    const style = valueAt(properties, 'w:pStyle') ?? null;
    const number = this.numberOf(properties, style);
    const text = this.inline(element).replace(/[ \t]+$/gm, '');
    const level = this.headingLevel(properties, style);
    // A paragraph without text is not numbered.
    const label = number && text.trim() !== '' ? this.numbering.next(number) : null;
    if (level !== null) {
      this.flushNotes(blocks);
      blocks.add(heading(level, label && label !== '-' ? `${label} ${text}` : text));
    } else if (label !== null && number && text.trim() !== '') {
      const indent = '  '.repeat(number.level);
      const lines = `${label} ${text.trim()}`.trim().replaceAll('\n', `\n${indent}  `);
      blocks.add(indent + lines, { isItem: true });
    } else blocks.add(text);
    this.flushBoxes(blocks);
  }

  /** Number of characters read so far. */
  private length = 0;

  /**
   * Adds a text to the total length, so that a document with many references to one long text is rejected. Throws
   * UnreadableError when the total is too long.
   */
  private counted(text: string): string {
    this.length += text.length;
    checkLength(this.length);
    return text;
  }

  private flushBoxes(blocks: Blocks): void {
    for (const text of this.boxes.splice(0)) blocks.add(text);
  }

  /** Writes the notes before the next heading, so that they stay in the section that refers to them. */
  private flushNotes(blocks: Blocks): void {
    for (const text of this.notes.splice(0)) blocks.add(text);
  }

  /** Returns the list and level of a paragraph, from its own properties or its style. */
  private numberOf(properties: Element | undefined, style: string | null) {
    const own = find(properties, 'w:numPr');
    const inherited = this.styles.inherit(style, ({ numId }) => numId);
    const numId = valueAt(own, 'w:numId') ?? inherited?.value;
    if (numId === undefined || numId === '0') return null;
    const written = valueAt(own, 'w:ilvl');
    const byStyle = this.styles.inherit(style, ({ level }) => level)?.value ?? null;
    const level =
      written === undefined ? (byStyle ?? this.numbering.levelOfStyle(numId, style ?? '')) : levelOf(written);
    return { numId, level };
  }

  private headingLevel(properties: Element | undefined, style: string | null): number | null {
    const own = numberOf(valueAt(properties, 'w:outlineLvl'));
    if (own !== null) return own < 9 ? own + 1 : null;
    return (
      this.styles.inherit(style, ({ name, outline }) => {
        const [, level] = /^heading ([1-9])$/i.exec(name) ?? [];
        if (level !== undefined) return Number(level);
        if (/^title$/i.test(name)) return 1;
        return outline === null || outline >= 9 ? null : outline + 1;
      })?.value ?? null
    );
  }

  /** Returns the text of inline content. */
  private inline(element: Element): string {
    const pieces: string[] = [];
    const open = this.fields.length;
    this.runs(element, pieces, null);
    // The result of a field that continues in the next paragraph is in that paragraph.
    for (const field of this.fields.slice(open)) field.start = -1;
    return this.counted(pieces.join(''));
  }

  private runs(parent: Element, pieces: string[], font: string | null): void {
    for (const element of elementsOf(parent)) {
      const { name, attributes } = element;
      if (unseen.has(name) && name !== 'w:instrText') continue;
      switch (name) {
        case 'w:t':
        case 'a:t':
          pieces.push(this.shown(withSymbols(textWithin(element), font)));
          break;
        case 'w:r':
          this.run(element, pieces);
          break;
        case 'w:tab':
        case 'w:ptab':
          pieces.push(this.shown('\t'));
          break;
        case 'w:br':
        case 'w:cr':
          pieces.push(this.shown('\n'));
          break;
        case 'w:noBreakHyphen':
          pieces.push(this.shown('-'));
          break;
        case 'w:sym':
          pieces.push(this.shown(symbol(attributes['w:font'] ?? '', attributes['w:char'] ?? '')));
          break;
        case 'w:fldChar':
          this.field(element, pieces);
          break;
        case 'w:instrText': {
          const field = this.fields.at(-1);
          if (field && !field.isResult) field.code += textWithin(element);
          break;
        }
        case 'w:hyperlink':
          this.hyperlink(element, pieces, font);
          break;
        case 'w:footnoteReference':
        case 'w:endnoteReference':
          this.note(element, pieces);
          break;
        case 'w:commentReference':
          this.comment(attributes['w:id']);
          break;
        case 'w:ruby':
          this.ruby(element, pieces, font);
          break;
        case 'w:txbxContent':
          this.boxes.push(this.apart(() => this.textOf(element)));
          break;
        case 'v:textpath':
          this.boxes.push(attributes.string ?? '');
          break;
        case 'mc:AlternateContent':
          this.runs(chosen(element), pieces, font);
          break;
        case 'a:graphicData':
          this.boxes.push(this.counted(graphicText(this.parts, this.part, element)));
          this.runs(element, pieces, font);
          break;
        case 'm:oMath':
          pieces.push(this.shown(math(element)));
          break;
        case 'w:p':
        case 'w:tbl':
          // A block element in an invalid position, inside a line, is still read as a block.
          this.boxes.push(this.apart(() => this.textOf({ name: '', attributes: {}, children: [element] })));
          break;
        default:
          this.runs(element, pieces, font);
      }
    }
  }

  /** Reads blocks inside a line separately: their text boxes stay with them, and their fields end with them. */
  private apart(read: () => string): string {
    const [boxes, fields] = [this.boxes, this.fields.splice(0)];
    this.boxes = [];
    try {
      return read();
    } finally {
      this.boxes = boxes;
      this.fields.splice(0, this.fields.length, ...fields);
    }
  }

  private run(element: Element, pieces: string[]): void {
    const properties = find(element, 'w:rPr');
    const isHidden =
      isOn(properties, 'w:vanish') ||
      (find(properties, 'w:vanish') === undefined &&
        this.styles.inherit(valueAt(properties, 'w:rStyle') ?? null, ({ isHidden }) => isHidden || null) !== null);
    const fonts = find(properties, 'w:rFonts')?.attributes;
    if (isHidden) {
      // Fields can also begin and end in hidden runs.
      for (const child of elementsOf(element)) if (child.name === 'w:fldChar') this.field(child, pieces);
    } else this.runs(element, pieces, fonts?.['w:ascii'] ?? fonts?.['w:hAnsi'] ?? null);
  }

  /** Returns a text, or an empty text inside the code of a field. */
  private shown(text: string): string {
    return this.fields.every(({ isResult }) => isResult) ? text : '';
  }

  private field(element: Element, pieces: string[]): void {
    const type = element.attributes['w:fldCharType'];
    const field = this.fields.at(-1);
    if (type === 'begin') {
      pieces.push(this.shown(formField(find(element, 'w:ffData'))));
      this.fields.push({ code: '', isResult: false, start: -1 });
    } else if (type === 'separate' && field) {
      field.isResult = true;
      field.start = pieces.length;
    } else if (type === 'end' && field) {
      this.fields.pop();
      const [, address] = /^\s*HYPERLINK\s+"([^"]*)"/i.exec(field.code) ?? [];
      if (address !== undefined && field.isResult && field.start >= 0)
        pieces.push(link(pieces.splice(field.start).join(''), address));
    }
  }

  private hyperlink(element: Element, pieces: string[], font: string | null): void {
    const text: string[] = [];
    this.runs(element, text, font);
    const relation = this.parts.relationsOf(this.part).get(element.attributes['r:id'] ?? '');
    pieces.push(link(text.join(''), relation?.isExternal ? relation.target : ''));
  }

  /**
   * Writes a note reference in Markdown, numbered by the first reference to the note, unless the note has a custom
   * mark.
   */
  private note(element: Element, pieces: string[]): void {
    const { 'w:id': id = '', 'w:customMarkFollows': custom } = element.attributes;
    const kind = element.name === 'w:footnoteReference' ? 'footnote' : 'endnote';
    const key = `${kind} ${id}`;
    const number = this.noteNumbers.get(key) ?? this.noteNumbers.size + 1;
    const mark = `[^${number}]`;
    if (custom === undefined || !/^(?:1|true|on)$/.test(custom)) pieces.push(this.shown(mark));
    if (this.noteNumbers.has(key)) return;
    this.noteNumbers.set(key, number);
    const part = this.parts.related(this.main, `${kind}s`);
    const note = childrenOf(this.parts.read(part)).find(({ attributes }) => attributes['w:id'] === id);
    if (!note || !part) return;
    const text = this.within(part, () => this.apart(() => this.textOf(note)));
    if (text !== '') this.notes.push(`${mark}: ${text}`);
  }

  private comment(id = ''): void {
    if (this.shownComments.has(id)) return;
    this.shownComments.add(id);
    const part = this.parts.related(this.main, 'comments');
    const comment = childrenOf(this.parts.read(part)).find(({ attributes }) => attributes['w:id'] === id);
    if (!comment || !part) return;
    const text = this.within(part, () => this.apart(() => this.textOf(comment)));
    const author = oneLine(comment.attributes['w:author'] ?? '');
    if (text !== '') this.notes.push(`${author === '' ? 'Comment' : `Comment by ${author}`}: ${text}`);
  }

  private ruby(element: Element, pieces: string[], font: string | null): void {
    const [base, reading]: [string[], string[]] = [[], []];
    for (const child of elementsOf(element))
      if (child.name === 'w:rubyBase') this.runs(child, base, font);
      else if (child.name === 'w:rt') this.runs(child, reading, font);
    pieces.push(base.join(''), reading.length > 0 ? `(${reading.join('')})` : '');
  }

  /**
   * Writes a table of values as a Markdown table. A table that is used for layout or as a frame is read block by block.
   */
  private table(element: Element, blocks: Blocks): void {
    const rows = rowsOf(element).map(cellsOf);
    const isFrame = rows.every((row) => row.length <= 1) && rows.length <= 1;
    const isLayout = rows.some((row) => row.some(({ cell }) => [...descendants(cell, 'w:tbl')].length > 0));
    if (isFrame || isLayout) {
      for (const { cell, isContinued } of rows.flat()) if (!isContinued) this.blocks(elementsOf(cell), blocks);
      return;
    }
    const texts = rows.map((row) =>
      row.flatMap(({ cell, span, isContinued }) => [
        isContinued ? '' : this.apart(() => this.textOf(cell)),
        ...Array<string>(span - 1).fill(''),
      ]),
    );
    blocks.add(table(texts));
    this.flushBoxes(blocks);
  }

  /** Returns the text of a web page, a text file or a document that was inserted unchanged. */
  private insertedText(element: Element): string {
    const name = this.parts.relationsOf(this.part).get(element.attributes['r:id'] ?? '')?.target ?? '';
    const bytes = this.parts.bytes(name);
    if (!bytes) return '';
    if (/\.docx$/i.test(name)) return this.inserted < maxInserted ? textOfDocx(bytes, this.inserted + 1) : '';
    const text = new TextDecoder().decode(bytes);
    return /\.txt$/i.test(name) ? text : textOfHtml(text);
  }
}

const isInline = (name: string): boolean => name === 'w:r' || name === 'w:hyperlink' || name === 'm:oMath';

/** Returns the first alternative that has text, or the last one: all alternatives show the same content. */
function chosen(alternatives: Element): Element {
  const ways = elementsOf(alternatives).filter(({ name }) => name === 'mc:Choice' || name === 'mc:Fallback');
  return ways.find(hasText) ?? ways.at(-1) ?? alternatives;
}

const hasText = (element: Element): boolean =>
  ['w:t', 'a:t', 'm:t', 'w:sym', 'v:textpath', 'c:chart', 'cx:chart', 'dgm:relIds'].some(
    (name) => !descendants(element, name).next().done,
  );

/** Returns the rows of a table, including rows inside wrapper elements, without those deleted with tracked changes. */
function rowsOf(parent: Element): Element[] {
  return elementsOf(parent).flatMap((element) => {
    if (unseen.has(element.name)) return [];
    if (element.name !== 'w:tr') return element.name === 'w:tbl' ? [] : rowsOf(element);
    return find(element, 'w:trPr', 'w:del') ? [] : element;
  });
}

interface Cell {
  cell: Element;
  /** Number of columns that the cell spans. */
  span: number;
  /** Whether the cell continues a vertically merged cell from a previous row. */
  isContinued: boolean;
}

function cellsOf(parent: Element): Cell[] {
  return elementsOf(parent).flatMap((element) => {
    if (unseen.has(element.name)) return [];
    if (element.name !== 'w:tc') return cellsOf(element);
    const properties = find(element, 'w:tcPr');
    if (find(properties, 'w:cellDel')) return [];
    const span = Math.min(Math.max(Number(valueAt(properties, 'w:gridSpan') ?? 1) || 1, 1), 63);
    const merge = find(properties, 'w:vMerge');
    return { cell: element, span, isContinued: merge !== undefined && merge.attributes['w:val'] !== 'restart' };
  });
}

/** Returns the character of a symbol font, such as Wingdings, by its hexadecimal code. */
function symbol(font: string, code: string): string {
  const known = /^[Ff]0[\dA-Fa-f]{2}$/.test(code) ? symbolOf(font, code.slice(2)) : undefined;
  const point = Number.parseInt(code, 16);
  return (known ?? symbolOf(font, code))?.string ?? (point > 0 && point <= 0xffff ? String.fromCharCode(point) : '');
}

/** Replaces the private use characters with which Word writes text in a symbol font. */
const withSymbols = (text: string, font: string | null): string =>
  font === null
    ? text
    : text.replace(/[\uf020-\uf0ff]/g, (character) => symbol(font, character.charCodeAt(0).toString(16)));

/**
 * Returns the visible content of a legacy form field without text: a checked or unchecked box, or the selected list
 * entry.
 */
function formField(data: Element | undefined): string {
  const box = find(data, 'w:checkBox');
  if (box) return (find(box, 'w:checked') ? isOn(box, 'w:checked') : isOn(box, 'w:default')) ? '☒' : '☐';
  const list = find(data, 'w:ddList');
  const entries = list ? elementsOf(list).filter(({ name }) => name === 'w:listEntry') : [];
  const at = Number(valueAt(list, 'w:result') ?? valueAt(list, 'w:default') ?? 0);
  return entries[at]?.attributes['w:val'] ?? '';
}
