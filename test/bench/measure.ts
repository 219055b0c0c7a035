import { Client, median, percentile } from './load.ts';
import { cpuOf, memoryOf, type Running } from './processes.ts';
import { type Scenario, succeeded } from './scenarios.ts';

/** Number of measured bursts of each scenario; one more comes before them. */
const bursts = 5;

export interface Figures {
  scenario: string;
  /** Median of the bursts. */
  requestsPerSecond: number;
  /** Processor time of the server per request, in milliseconds: median of the bursts. */
  cpu: number;
  p50: number;
  p99: number;
  /** Resident memory of the server after the bursts, in MiB. */
  memory: number;
  /** Processor time per request of the baseline. */
  baselineCpu?: number;
  target?: number | undefined;
}

interface Burst {
  cpu: number;
  rate: number;
  durations: number[];
}

/**
 * Measures a scenario in short bursts that alternate between the server and the baseline, so that both meet the same
 * state of the machine. `between` runs before each burst.
 */
export async function measure(
  scenario: Scenario,
  { server, baseline, key }: { server: Running; baseline?: Running | undefined; key: string },
  between: () => Promise<void> = async () => {},
): Promise<Figures> {
  const { name, count, next, accepts = succeeded, connections = 10, target } = scenario;
  console.error(`measuring ${name}`);
  const client = new Client(server.port, key, connections);
  const other = baseline && scenario.baseline ? new Client(baseline.port, key, connections) : null;
  const own: Burst[] = [];
  const others: Burst[] = [];
  const run = async (to: Client, pid: number, call: typeof next): Promise<Burst> => {
    const [cpu, startedAt] = [cpuOf(pid), performance.now()];
    const durations = await to.burst(count, call, to === client ? accepts : ({ status }) => status === 200);
    return {
      cpu: (cpuOf(pid) - cpu) / count,
      rate: (count * 1000) / (performance.now() - startedAt),
      durations,
    };
  };
  for (let round = 0; round <= bursts; round++) {
    await between();
    const measured = await run(client, server.pid, next);
    if (round > 0) own.push(measured);
    if (other && baseline) {
      const path = scenario.baseline ?? '';
      const compared = await run(other, baseline.pid, () => ({ method: 'GET', path }));
      if (round > 0) others.push(compared);
    }
  }
  client.close();
  other?.close();
  const durations = own.flatMap((burst) => burst.durations).sort((a, b) => a - b);
  return {
    scenario: name,
    requestsPerSecond: median(own.map(({ rate }) => rate)),
    cpu: median(own.map(({ cpu }) => cpu)),
    p50: percentile(durations, 0.5),
    p99: percentile(durations, 0.99),
    memory: memoryOf(server.pid),
    ...(others.length > 0 && { baselineCpu: median(others.map(({ cpu }) => cpu)) }),
    target,
  };
}

const columns = ['scenario', 'req/s', 'CPU ms', 'p50 ms', 'p99 ms', 'MiB', 'share of baseline', 'target'];

/** Returns figures as a table in Markdown. */
export function table(figures: readonly Figures[]): string {
  const rows = figures.map(({ scenario, requestsPerSecond, cpu, p50, p99, memory, baselineCpu, target }) => [
    scenario,
    requestsPerSecond.toFixed(0),
    cpu.toFixed(2),
    p50.toFixed(1),
    p99.toFixed(1),
    memory.toFixed(0),
    baselineCpu === undefined || cpu === 0 ? '' : (baselineCpu / cpu).toFixed(2),
    target?.toFixed(2) ?? '',
  ]);
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(columns), line(columns.map((_, index) => (index === 0 ? '---' : '--:'))), ...rows.map(line)].join('\n');
}
