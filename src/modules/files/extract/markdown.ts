/** Joins lines into one. */
export const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim();

/** A heading of Markdown; empty for no text. Levels below 6 are the sixth. */
export const heading = (level: number, text: string): string => {
  const line = oneLine(text);
  return line === '' ? '' : `${'#'.repeat(Math.min(Math.max(level, 1), 6))} ${line}`;
};

/** A table of Markdown whose first row is its head; empty without a cell that has text. */
export function table(rows: readonly (readonly string[])[]): string {
  const written = rows.map((row) => row.map((cell) => oneLine(cell).replaceAll('|', '\\|')));
  if (!written.some((row) => row.some((cell) => cell !== ''))) return '';
  const width = written.reduce((most, row) => Math.max(most, row.length), 0);
  const line = (row: readonly string[]) => `| ${Array.from({ length: width }, (_, at) => row[at] ?? '').join(' | ')} |`;
  const [head = [], ...body] = written;
  return [line(head), `|${' --- |'.repeat(width)}`, ...body.map(line)].join('\n');
}

/** A link of Markdown, where its address can be followed and its text is one line; else the text. */
export const link = (text: string, address: string): string =>
  text.trim() !== '' && !text.includes('\n') && /^(?:https?:|mailto:)[^\s()<>]+$/i.test(address)
    ? `[${text}](${address})`
    : text;

/** Joins blocks by empty lines, and the items of a list, which begin with a blank or a mark of their own, by line ends. */
export class Blocks {
  private readonly blocks: { text: string; isItem: boolean }[] = [];

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
