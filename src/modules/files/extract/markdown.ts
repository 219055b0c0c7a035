/** Joins lines into one. */
export const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim();

/** Returns a Markdown heading, or an empty text for a heading without text. Levels deeper than 6 become level 6. */
export const heading = (level: number, text: string): string => {
  const line = oneLine(text);
  return line === '' ? '' : `${'#'.repeat(Math.min(Math.max(level, 1), 6))} ${line}`;
};

/** Returns a Markdown table with the first row as its header. Returns an empty text when all cells are empty. */
export function table(rows: readonly (readonly string[])[]): string {
  const written = rows.map((row) => row.map((cell) => oneLine(cell).replaceAll('|', '\\|')));
  if (!written.some((row) => row.some((cell) => cell !== ''))) return '';
  const width = written.reduce((most, row) => Math.max(most, row.length), 0);
  const line = (row: readonly string[]) => `| ${Array.from({ length: width }, (_, at) => row[at] ?? '').join(' | ')} |`;
  const [head = [], ...body] = written;
  return [line(head), `|${' --- |'.repeat(width)}`, ...body.map(line)].join('\n');
}

/** Returns a Markdown link if the address can be followed and the text is a single line; otherwise returns the text. */
export const link = (text: string, address: string): string =>
  text.trim() !== '' && !text.includes('\n') && /^(?:https?:|mailto:)[^\s()<>]+$/i.test(address)
    ? `[${text}](${address})`
    : text;

/**
 * Joins blocks with blank lines. List items, which begin with a space or their own marker, are joined with line breaks.
 */
export class Blocks {
  private readonly blocks: { text: string; isItem: boolean }[] = [];

  /** Returns the text of the blocks that `fill` adds. */
  static join(fill: (blocks: Blocks) => void): string {
    const blocks = new Blocks();
    fill(blocks);
    return blocks.toString();
  }

  add(text: string, { isItem = false } = {}): void {
    const written = isItem ? text.trimEnd() : text.trim();
    if (written.trim() !== '') this.blocks.push({ text: written, isItem });
  }

  get length(): number {
    return this.blocks.length;
  }

  toString(): string {
    return this.blocks
      .map(({ text, isItem }, at) => (at === 0 ? '' : isItem && this.blocks[at - 1]?.isItem ? '\n' : '\n\n') + text)
      .join('');
  }
}
