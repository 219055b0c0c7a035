import { AppError } from '../../errors.ts';
import type { Prisma } from '../../generated/prisma/client.ts';
import type { Database } from '../../store/database.ts';
import { oneLine, type Report } from './report.ts';

type Transaction = Prisma.TransactionClient;

/** A reason in the data for which an object cannot be imported. Shown to the operator. */
export class Unfit extends Error {
  override readonly name = 'Unfit';
}

/** Writing a large object takes time. Milliseconds. */
const transactionTimeouts = { maxWait: 60_000, timeout: 120_000 };

/** Placeholder for the ID of an object that a dry run did not create. */
const planned = '';

/** One object to import. */
export interface Entry {
  /** The ID in the source. */
  id: string | number;
  /** The name in the report. */
  name: string;
  /** Runs before the transaction, and can be repeated without harm. */
  prepare?: () => Promise<void>;
  /** Writes the object and returns its new ID. */
  work: (transaction: Transaction) => Promise<string>;
}

/** Objects of one kind that are written together. */
export interface Batch<Item> {
  items: readonly Item[];
  idOf: (item: Item) => string;
  nameOf: (item: Item) => string;
  /** Writes the objects in order and returns their new IDs. */
  work: (transaction: Transaction, items: readonly Item[]) => Promise<string[]>;
}

interface LedgerDeps {
  db: Database;
  /** The identity of the server or the export. */
  source: string;
  report: Report;
  /** Reports progress. */
  say: (line: string) => void;
  dryRun: boolean;
}

/** Records the objects imported from one source, in the transaction that creates each object. */
export class Ledger {
  private readonly known = new Map<string, Map<string, string>>();
  private readonly progress = new Map<string, number>();

  private constructor(private readonly parts: LedgerDeps) {}

  /** Loads the records of earlier imports from this source. */
  static async open(parts: LedgerDeps): Promise<Ledger> {
    const ledger = new Ledger(parts);
    const rows = await parts.db.prisma.importRecord.findMany({
      where: { source: parts.source },
      select: { kind: true, sourceId: true, targetId: true },
    });
    for (const { kind, sourceId, targetId } of rows) ledger.ofKind(kind).set(sourceId, targetId);
    return ledger;
  }

  get source(): string {
    return this.parts.source;
  }

  private ofKind(kind: string): Map<string, string> {
    const entries = this.known.get(kind) ?? new Map<string, string>();
    this.known.set(kind, entries);
    return entries;
  }

  /**
   * Returns the new ID of an object, or undefined when it was not imported. In a dry run, an empty text for an object
   * that would be imported.
   */
  targetOf = (kind: string, sourceId: string | number): string | undefined => this.ofKind(kind).get(String(sourceId));

  /** Returns the new IDs of all objects of a kind. */
  targets = (kind: string): string[] => [...this.ofKind(kind).values()].filter((target) => target !== planned);

  /** Reports that another object of a kind was processed. */
  step(kind: string, total: number, number = 1): void {
    const done = (this.progress.get(kind) ?? 0) + number;
    this.progress.set(kind, done);
    this.parts.say(`${kind}s ${done}/${total}`);
  }

  private explain(what: string, error: unknown): void {
    const { report } = this.parts;
    if (error instanceof Unfit) report.leave(what, error.message);
    else if (error instanceof AppError) report.leave(what, error.message.replace(/^(input\.)+/, ''));
    else report.fail(what, error);
  }

  /**
   * Creates one object with its record in one transaction, unless it was imported before. Returns its new ID, or null
   * when it could not be imported, which is reported with the reason.
   */
  async bring(kind: string, { id: sourceId, name, prepare, work }: Entry): Promise<string | null> {
    const id = String(sourceId);
    const before = this.targetOf(kind, id);
    const { db, report, source, dryRun } = this.parts;
    if (before !== undefined) {
      report.known(kind);
      return before;
    }
    try {
      if (!dryRun) await prepare?.();
      const targetId = dryRun
        ? planned
        : await db.prisma.$transaction(async (transaction) => {
            const made = await work(transaction);
            await transaction.importRecord.create({ data: { source, kind, sourceId: id, targetId: made } });
            return made;
          }, transactionTimeouts);
      this.ofKind(kind).set(id, targetId);
      report.imported(kind);
      return targetId;
    } catch (error) {
      this.explain(`${kind} ${oneLine(name)}`, error);
      return null;
    }
  }

  /** Creates several objects together; when that fails, one by one. */
  async bringAll<Item>(kind: string, batch: Batch<Item>): Promise<void> {
    const { db, report, source, dryRun } = this.parts;
    const { idOf, nameOf, work } = batch;
    const items = batch.items.filter((item) => this.targetOf(kind, idOf(item)) === undefined);
    if (items.length < batch.items.length) report.known(kind, batch.items.length - items.length);
    if (items.length === 0) return;
    try {
      const targets = dryRun
        ? items.map(() => planned)
        : await db.prisma.$transaction(async (transaction) => {
            const made = await work(transaction, items);
            await transaction.importRecord.createMany({
              data: items.map((item, index) => ({ source, kind, sourceId: idOf(item), targetId: made[index] ?? '' })),
            });
            return made;
          }, transactionTimeouts);
      items.forEach((item, index) => {
        this.ofKind(kind).set(idOf(item), targets[index] ?? planned);
      });
      report.imported(kind, items.length);
    } catch (error) {
      const [item] = items;
      if (items.length === 1 && item !== undefined) this.explain(`${kind} ${oneLine(nameOf(item))}`, error);
      else for (const each of items) await this.bringAll(kind, { ...batch, items: [each] });
    }
  }
}
