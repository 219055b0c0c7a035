import { Batches, type PlanWithBatch, type ReadStatement, type RunRead } from './batches.ts';
import { compile, type Plan, type ReadMethod } from './compile.ts';
import { shapeOf } from './shape.ts';
import { UnsupportedReadError } from './unsupported.ts';

/** Maximum number of shapes whose plans are kept, the most recent ones. */
const maxPlans = 2_000;
/**
 * Maximum number of statements that stay prepared in each connection. PostgreSQL keeps them in memory until the
 * connection ends; statements beyond the limit are parsed each time.
 */
const maxNames = 1_000;

type NamedPlan = (Plan & ReadStatement & { batch?: undefined }) | PlanWithBatch;

/** The result of {@link Reader.read} for a read that Prisma must perform. */
export const notRead = Symbol('not read');

/** Performs the reads that can be compiled to one statement. */
export class Reader {
  /** By model, method and shape, the least recently used first. Null for shapes that cannot be compiled. */
  private readonly plans = new Map<string, NamedPlan | null>();
  private readonly batches: Batches;
  private names = 0;

  constructor(private readonly run: RunRead) {
    this.batches = new Batches(run);
  }

  /** Returns the result of a read, undefined for a required row that does not exist, or `notRead`. */
  async read(model: string, method: ReadMethod, args: object): Promise<unknown> {
    try {
      const { key, values } = shapeOf(args);
      const name = `${model}.${method}${key}`;
      const plan = this.plan(name, () => withComment(model, compile(model, method, args)));
      if (!plan) return notRead;
      const parameters = plan.bind(values);
      if (plan.batch) return await this.batches.read(name, plan, parameters);
      return plan.result(await this.run(plan, parameters));
    } catch (error) {
      if (!(error instanceof UnsupportedReadError)) throw error;
      return notRead;
    }
  }

  private plan(key: string, create: () => Plan): NamedPlan | null {
    let plan = this.plans.get(key);
    if (plan !== undefined) {
      this.plans.delete(key);
      this.plans.set(key, plan);
      return plan;
    }
    try {
      plan = this.named(create());
    } catch (error) {
      if (!(error instanceof UnsupportedReadError)) throw error;
      plan = null;
    }
    if (this.plans.size >= maxPlans) this.plans.delete(this.plans.keys().next().value as string);
    this.plans.set(key, plan);
    return plan;
  }

  private named({ batch, ...plan }: Plan): NamedPlan {
    const named = { ...plan, name: this.nextName() };
    return batch ? { ...named, batch: { ...batch, name: this.nextName() } } : named;
  }

  private nextName(): string {
    return this.names < maxNames ? `read_${this.names++}` : '';
  }
}

/** Names the model at the end of the texts of a plan, for traces and statistics: they begin with the relations. */
function withComment(model: string, { text, batch, ...plan }: Plan): Plan {
  const comment = ` /* ${model} */`;
  return { ...plan, text: text + comment, batch: batch && { ...batch, text: batch.text + comment } };
}
