import { shortened } from '../../unicode.ts';

/** One line of a report, whatever was in a name: no control characters, which a terminal would obey, and not endless. */
export const oneLine = (text: string): string =>
  shortened(
    text
      .toWellFormed()
      .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ')
      .trim(),
    200,
  );

interface Count {
  brought: number;
  known: number;
}

/** What became of an import. Every text in it is shown to the operator. */
export class Report {
  private readonly counts = new Map<string, Count>();
  private readonly left: string[] = [];
  private readonly changes: string[] = [];
  private readonly failures: string[] = [];
  private readonly todo: string[] = [];

  constructor(private readonly dryRun: boolean) {}

  private count(kind: string): Count {
    const count = this.counts.get(kind) ?? { brought: 0, known: 0 };
    this.counts.set(kind, count);
    return count;
  }

  brought(kind: string, number = 1): void {
    this.count(kind).brought += number;
  }

  known(kind: string, number = 1): void {
    this.count(kind).known += number;
  }

  /** Something stays where it is, for a reason that is in the data or in what this server is. */
  leave(what: string, reason: string): void {
    this.left.push(oneLine(`${what}: ${reason}`));
  }

  /** Something is not here as it was there. */
  changed(what: string, how: string): void {
    this.changes.push(oneLine(`${what}: ${how}`));
  }

  /** Something failed for a reason that is not in the data. */
  fail(what: string, error: unknown): void {
    this.failures.push(oneLine(`${what}: ${error instanceof Error ? error.message : String(error)}`));
  }

  /** What the operator does next. */
  next(step: string): void {
    this.todo.push(oneLine(step));
  }

  get failed(): boolean {
    return this.failures.length > 0;
  }

  /** How many of each kind were brought, and how many were here already. */
  totals(): Record<string, Count> {
    return Object.fromEntries([...this.counts].map(([kind, count]) => [kind, { ...count }]));
  }

  /** The closing report: lines without a line break at their end. */
  lines(): string[] {
    const section = (title: string, entries: readonly string[]) =>
      entries.length === 0 ? [] : ['', title, ...entries.map((entry) => `  ${entry}`)];
    const verb = this.dryRun ? 'to bring' : 'brought';
    const counts = [...this.counts].map(
      ([kind, { brought, known }]) => `${kind}s: ${brought} ${verb}${known > 0 ? `, ${known} known already` : ''}`,
    );
    return [
      this.dryRun ? 'A dry run: nothing was written.' : 'Done.',
      ...(counts.length > 0 ? counts.map((line) => `  ${line}`) : ['  There was nothing to bring.']),
      ...section('Not as it was there:', this.changes),
      ...section('Could not be brought:', this.left),
      ...section('Failed:', this.failures),
      ...section('Next:', this.todo),
    ];
  }
}
