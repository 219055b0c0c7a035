import { shortened } from '../../unicode.ts';

/**
 * Returns one line of a report for any name: without control characters, which a terminal would interpret, and with a
 * maximum length.
 */
export const oneLine = (text: string): string =>
  shortened(
    text
      .toWellFormed()
      .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ')
      .trim(),
    200,
  );

interface Count {
  imported: number;
  known: number;
}

/** The report of an import. All of its text is shown to the operator. */
export class Report {
  private readonly counts = new Map<string, Count>();
  private readonly left: string[] = [];
  private readonly changes: string[] = [];
  private readonly failures: string[] = [];
  private readonly todo: string[] = [];

  constructor(private readonly dryRun: boolean) {}

  private count(kind: string): Count {
    const count = this.counts.get(kind) ?? { imported: 0, known: 0 };
    this.counts.set(kind, count);
    return count;
  }

  imported(kind: string, number = 1): void {
    this.count(kind).imported += number;
  }

  known(kind: string, number = 1): void {
    this.count(kind).known += number;
  }

  /** Reports an object that was not imported because of the data or a limitation of this server. */
  leave(what: string, reason: string): void {
    this.left.push(oneLine(`${what}: ${reason}`));
  }

  /** Reports an object that differs from the source. */
  changed(what: string, how: string): void {
    this.changes.push(oneLine(`${what}: ${how}`));
  }

  /** Reports a failure with a cause other than the data. */
  fail(what: string, error: unknown): void {
    this.failures.push(oneLine(`${what}: ${error instanceof Error ? error.message : String(error)}`));
  }

  /** Reports a next step for the operator. */
  next(step: string): void {
    this.todo.push(oneLine(step));
  }

  get failed(): boolean {
    return this.failures.length > 0;
  }

  /** Returns the number of imported and of already existing objects of each kind. */
  totals(): Record<string, Count> {
    return Object.fromEntries([...this.counts].map(([kind, count]) => [kind, { ...count }]));
  }

  /** Returns the lines of the final report without line breaks. */
  lines(): string[] {
    const section = (title: string, entries: readonly string[]) =>
      entries.length === 0 ? [] : ['', title, ...entries.map((entry) => `  ${entry}`)];
    const verb = this.dryRun ? 'to import' : 'imported';
    const counts = [...this.counts].map(
      ([kind, { imported, known }]) => `${kind}s: ${imported} ${verb}${known > 0 ? `, ${known} already known` : ''}`,
    );
    return [
      this.dryRun ? 'Dry run: no data was written.' : 'Done.',
      ...(counts.length > 0 ? counts.map((line) => `  ${line}`) : ['  No data to import.']),
      ...section('Imported with changes:', this.changes),
      ...section('Not imported:', this.left),
      ...section('Failed:', this.failures),
      ...section('Next:', this.todo),
    ];
  }
}
