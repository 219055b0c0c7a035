import type { BatchPlan, Plan, ResultRow } from './compile.ts';

/** A statement; one whose name is not empty stays prepared. */
export interface ReadStatement {
  name: string;
  text: string;
}

/** Runs a statement and returns its rows. */
export type RunRead = (statement: ReadStatement, values: unknown[]) => Promise<ResultRow[]>;

/** A plan of which several reads can be combined. */
export interface PlanWithBatch extends Plan, ReadStatement {
  batch: BatchPlan & ReadStatement;
}

interface Pending {
  parameters: unknown[];
  resolve: (result: unknown) => void;
  reject: (error: unknown) => void;
}

/**
 * Combines reads of single rows that differ only in the unique value and start in the same tick, as Prisma does: the
 * GraphQL layer loads the objects of a list with one read each.
 */
export class Batches {
  private readonly pending = new Map<string, Pending[]>();

  constructor(private readonly run: RunRead) {}

  /** Returns the result of a plan. `key` identifies the plan. */
  read(key: string, plan: PlanWithBatch, parameters: unknown[]): Promise<unknown> {
    const others = parameters.length > 1 ? JSON.stringify(parameters.toSpliced(plan.batch.position, 1)) : '';
    const batchKey = key + others;
    return new Promise((resolve, reject) => {
      const read = { parameters, resolve, reject };
      const reads = this.pending.get(batchKey);
      if (reads) {
        reads.push(read);
        return;
      }
      const started = [read];
      this.pending.set(batchKey, started);
      process.nextTick(() => {
        this.pending.delete(batchKey);
        this.perform(plan, started).catch((error) => {
          for (const { reject } of started) reject(error);
        });
      });
    });
  }

  private async perform(plan: PlanWithBatch, reads: readonly Pending[]): Promise<void> {
    const [first] = reads as [Pending];
    if (reads.length === 1) {
      first.resolve(plan.result(await this.run(plan, first.parameters)));
      return;
    }
    const { position, encodeList } = plan.batch;
    const keys = [...new Set(reads.map(({ parameters }) => parameters[position]))];
    const rows = await this.run(plan.batch, first.parameters.with(position, encodeList(keys)));
    const byKey = new Map(rows.map((row) => [row.k, row]));
    for (const read of reads) {
      const row = byKey.get(String(read.parameters[position]));
      read.resolve(plan.result(row ? [row] : []));
    }
  }
}
