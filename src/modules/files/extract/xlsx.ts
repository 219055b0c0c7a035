import { chartText, drawingText } from './drawing.ts';
import { Blocks, heading, oneLine, table } from './markdown.ts';
import { builtInFormat, formatNumber } from './number-format.ts';
import { OfficePackage } from './office-package.ts';
import { checkLength } from './unreadable.ts';
import { childrenOf, descendants, type Element, elementsOf, find, scanXml, textWithin } from './xml.ts';

/** A row with at least one value: its values by column number, starting at 0. */
type Row = Map<number, string>;

/**
 * Returns the text of a workbook as Markdown: each visible sheet as a table with the values as they are displayed, then
 * its notes and comments, text boxes and charts. Columns without a value are left out.
 */
export function textOfXlsx(bytes: Uint8Array): string {
  const parts = OfficePackage.open(bytes);
  const main = parts.main();
  const workbook = parts.read(main) ?? undefined;
  const is1904 = /^(?:1|true)$/.test(find(workbook, 'x:workbookPr')?.attributes.date1904 ?? '');
  const shared = sharedStrings(parts, main);
  const formats = cellFormats(parts.read(parts.related(main, 'styles') ?? parts.related(main, 'style')));
  const blocks = new Blocks();
  const sheets = [...descendants(find(workbook, 'x:sheets') ?? emptyElement, 'x:sheet')];
  for (const { attributes } of sheets) {
    const relation = parts.relationsOf(main).get(attributes['r:id'] ?? '');
    if (!relation || /^(?:very)?hidden$/i.test(attributes.state ?? '')) continue;
    const texts = [
      tableOf(readRows(parts.bytes(relation.target), { shared, formats, is1904 })),
      ...besides(parts, relation.target),
    ].filter(Boolean);
    if (texts.length === 0) continue;
    if (sheets.length > 1) blocks.add(heading(2, attributes.name ?? ''));
    for (const text of texts) blocks.add(text);
  }
  return blocks.toString();
}

const emptyElement: Element = { name: '', attributes: {}, children: [] };

/** Returns the shared strings of the cells, including the text of their runs, without phonetic readings. */
function sharedStrings(parts: OfficePackage, main: string): string[] {
  const bytes = parts.bytes(parts.related(main, 'sharedStrings') ?? '');
  const texts: string[] = [];
  if (bytes) scanTexts(bytes, 'x:si', (text) => void texts.push(text));
  return texts;
}

/** Calls `tell` with the text of each element of this name, without the phonetic readings in `x:rPh`. */
function scanTexts(bytes: Uint8Array, name: string, tell: (text: string) => void): void {
  let text = '';
  let isText = false;
  let readings = 0;
  scanXml(bytes, {
    open: (opened) => {
      if (opened === name) text = '';
      else if (opened === 'x:rPh') readings += 1;
      isText = opened === 'x:t' && readings === 0;
    },
    text: (part) => {
      if (isText) text += part;
    },
    close: (closed) => {
      if (closed === 'x:rPh') readings -= 1;
      isText = false;
      if (closed === name) tell(text);
    },
  });
}

/** Returns the number pattern of each cell format, by index. */
function cellFormats(root: Element | null): string[] {
  const custom = new Map(
    [...descendants(root ?? emptyElement, 'x:numFmt')].map(({ attributes }) => [
      Number(attributes.numFmtId),
      attributes.formatCode ?? 'General',
    ]),
  );
  const cells = find(root ?? undefined, 'x:cellXfs');
  return (cells ? elementsOf(cells) : []).map(({ attributes }) => {
    const id = Number(attributes.numFmtId ?? 0);
    return custom.get(id) ?? builtInFormat(id);
  });
}

interface Book {
  shared: readonly string[];
  formats: readonly string[];
  is1904: boolean;
}

/** Returns the rows of a sheet that have a value. Throws UnreadableError for more than 2,000,000 characters. */
function readRows(bytes: Uint8Array | undefined, { shared, formats, is1904 }: Book): Row[] {
  const rows: Row[] = [];
  if (!bytes) return rows;
  let row: Row = new Map();
  let column = -1;
  let length = 0;
  let cell: Readonly<Record<string, string>> = {};
  let value = '';
  let reads = false;
  let readings = 0;
  const shown = (): string => {
    const number = Number(value);
    switch (cell.t) {
      case 's':
        return shared[number] ?? '';
      case 'b':
        return value === '1' ? 'TRUE' : 'FALSE';
      case 'str':
      case 'inlineStr':
      case 'e':
      case 'd':
        return value;
      default:
        return value === '' || !Number.isFinite(number)
          ? value
          : formatNumber(formats[Number(cell.s ?? 0)] ?? 'General', number, { is1904 });
    }
  };
  scanXml(bytes, {
    open: (name, attributes) => {
      if (name === 'x:row') {
        row = new Map();
        column = -1;
      } else if (name === 'x:c') {
        column = columnOf(attributes.r) ?? column + 1;
        cell = attributes;
        value = '';
      } else if (name === 'x:rPh') readings += 1;
      else reads = name === 'x:v' || (name === 'x:t' && readings === 0);
    },
    text: (text) => {
      if (reads) value += text;
    },
    close: (name) => {
      reads = false;
      if (name === 'x:rPh') readings -= 1;
      else if (name === 'x:c') {
        const text = oneLine(shown());
        if (text === '') return;
        row.set(column, text);
        length += text.length;
        checkLength(length);
      } else if (name === 'x:row' && row.size > 0) rows.push(row);
    },
  });
  return rows;
}

/** Returns the column number, starting at 0, of a cell reference such as `AB12`, or null without a reference. */
function columnOf(reference: string | undefined): number | null {
  const [letters] = /^[A-Z]{1,3}/i.exec(reference ?? '') ?? [];
  if (letters === undefined) return null;
  return [...letters.toUpperCase()].reduce((number, letter) => number * 26 + letter.charCodeAt(0) - 64, 0) - 1;
}

/** Returns the rows as a table, with only those columns in which at least one row has a value. */
function tableOf(rows: readonly Row[]): string {
  const columns = [...new Set(rows.flatMap((row) => [...row.keys()]))].sort((a, b) => a - b);
  checkLength(rows.length * columns.length * 2);
  return table(rows.map((row) => columns.map((column) => row.get(column) ?? '')));
}

/** Returns the content of a sheet outside its cells: notes, comments, text boxes and charts. */
function besides(parts: OfficePackage, sheet: string): string[] {
  const texts: string[] = [];
  for (const { type, target } of parts.relationsOf(sheet).values())
    if (type === 'comments') texts.push(...notesOf(parts.read(target)));
    else if (type === 'threadedComment') texts.push(...threadsOf(parts.read(target)));
    else if (type === 'drawing') {
      const drawing = parts.read(target);
      if (drawing) texts.push(drawingText(drawing));
      for (const chart of parts.relationsOf(target).values()) {
        const root = /^chart/.test(chart.type) ? parts.read(chart.target) : null;
        if (root) texts.push(chartText(root));
      }
    }
  return texts;
}

/** Returns the notes on cells. Notes that only represent a comment thread are left out. */
const notesOf = (root: Element | null): string[] =>
  [...descendants(root ?? emptyElement, 'x:comment')].flatMap((comment) => {
    const text = oneLine([...descendants(comment, 'x:t')].map(textWithin).join(''));
    return text === '' || text.startsWith('[Threaded comment]') ? [] : [`Note on ${comment.attributes.ref}: ${text}`];
  });

const threadsOf = (root: Element | null): string[] =>
  childrenOf(root).flatMap((comment) => {
    const text = oneLine(
      elementsOf(comment)
        .filter(({ name }) => /(?:^|:)text$/.test(name))
        .map(textWithin)
        .join(''),
    );
    return text === '' ? [] : [`Comment on ${comment.attributes.ref}: ${text}`];
  });
