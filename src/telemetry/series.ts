import type { Metric, Registry } from 'prom-client';

interface Sample {
  value: number;
  labels: Record<string, string | number>;
  metricName?: string;
}

interface Series {
  samples(name: string, labels: Record<string, string>): Sample[];
}

/** A counter of one combination of labels. */
export class CounterSeries implements Series {
  private value = 0;

  /** Adds an amount, which defaults to 1. */
  add(amount = 1): void {
    this.value += amount;
  }

  samples(_name: string, labels: Record<string, string>): Sample[] {
    return [{ value: this.value, labels }];
  }
}

/** A histogram of one combination of labels. */
export class HistogramSeries implements Series {
  private readonly counts: Float64Array;
  private sum = 0;

  /** `bounds` are the upper bounds of the buckets, ascending. */
  constructor(private readonly bounds: readonly number[]) {
    this.counts = new Float64Array(bounds.length + 1);
  }

  /** Records a value, in the unit of the metric. */
  observe(value: number): void {
    let bucket = 0;
    while (bucket < this.bounds.length && value > (this.bounds[bucket] as number)) bucket++;
    this.counts[bucket] = (this.counts[bucket] as number) + 1;
    this.sum += value;
  }

  samples(name: string, labels: Record<string, string>): Sample[] {
    let count = 0;
    const buckets = [...this.counts].map((own, index) => {
      count += own;
      return { metricName: `${name}_bucket`, labels: { ...labels, le: this.bounds[index] ?? '+Inf' }, value: count };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: this.sum },
      { metricName: `${name}_count`, labels, value: count },
    ];
  }
}

interface Definition {
  name: string;
  help: string;
  labels: readonly string[];
}

/**
 * A metric whose callers hold the series that they record to. Recording changes a number: it neither allocates labels
 * nor looks them up, as the metrics of prom-client do.
 */
class Family<Kind extends Series> {
  readonly name: string;
  readonly help: string;
  readonly aggregator = 'sum';
  readonly labelNames: readonly string[];
  private readonly all = new Map<string, { series: Kind; labels: Record<string, string> }>();

  constructor(
    { name, help, labels }: Definition,
    readonly type: 'counter' | 'histogram',
    private readonly create: () => Kind,
  ) {
    this.name = name;
    this.help = help;
    this.labelNames = labels;
  }

  /** Returns the series with these values of the labels. Callers keep it. The number of different values is bounded. */
  series(...values: string[]): Kind {
    const key = JSON.stringify(values);
    const known = this.all.get(key);
    if (known) return known.series;
    const labels = Object.fromEntries(this.labelNames.map((label, index) => [label, values[index] ?? '']));
    const series = this.create();
    this.all.set(key, { series, labels });
    return series;
  }

  /** Returns the metric as a registry of prom-client reads it. */
  async get() {
    const values = [...this.all.values()].flatMap(({ series, labels }) => series.samples(this.name, labels));
    return { name: this.name, help: this.help, type: this.type, aggregator: this.aggregator, values };
  }
}

const registered = <Kind extends Series>(registry: Registry, family: Family<Kind>): Family<Kind> => {
  registry.registerMetric(family as unknown as Metric);
  return family;
};

/** Adds a counter to a registry. */
export const counterFamily = (registry: Registry, definition: Definition) =>
  registered(registry, new Family(definition, 'counter', () => new CounterSeries()));

/** Adds a histogram to a registry. `bounds` are the upper bounds of the buckets, ascending. */
export const histogramFamily = (registry: Registry, definition: Definition, bounds: readonly number[]) =>
  registered(registry, new Family(definition, 'histogram', () => new HistogramSeries(bounds)));

/** Returns the seconds since a time of `performance.now()`. */
export const secondsSince = (startedAt: number): number => (performance.now() - startedAt) / 1000;
