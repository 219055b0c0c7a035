import type { Log } from './log.ts';
import type { Background } from './store/background.ts';
import type { JobClaims } from './store/shared/job-claims.ts';

/** Work that a service declares and that the server repeats. */
export interface Job {
  /** Names the job in the log and in the metrics. */
  name: string;
  /** Time between two starts, in milliseconds. */
  everyMs: number;
  run(): Promise<unknown>;
}

/** What is known of the runs of a job in this process. */
export interface JobReport {
  name: string;
  /** The end of the last run that this process finished; null before it. */
  finishedAt: Date | null;
  /** The end of the last run that did not fail; null before it. */
  succeededAt: Date | null;
  /** Duration of the last finished run, in seconds. */
  seconds: number | null;
  failures: number;
}

const dayMs = 24 * 3600 * 1000;

/** Returns the daily job that deletes data past its retention period; none without a period. */
export const retentionJobs = (
  name: string,
  days: number | undefined,
  forget: (days: number) => Promise<unknown>,
): readonly Job[] => (days ? [{ name, everyMs: dayMs, run: () => forget(days) }] : []);

export interface Scheduler {
  /** Runs each job now, and then at its interval. */
  start(jobs: readonly Job[]): void;
  /** Starts no more runs. Runs in progress continue as background work. */
  stop(): void;
  reports(): readonly JobReport[];
}

interface SchedulerDeps {
  claims: JobClaims;
  background: Background;
  log: Log;
}

/**
 * Creates the scheduler of all jobs. Jobs are independent: a job that fails or hangs does not delay another, and is
 * started again at its next interval unless it is still running. A failure is logged and counted.
 */
export function createScheduler({ claims, background, log }: SchedulerDeps): Scheduler {
  const reports = new Map<string, JobReport>();
  const running = new Set<string>();
  const timers: NodeJS.Timeout[] = [];

  async function run(job: Job, report: JobReport): Promise<void> {
    const startedAt = performance.now();
    try {
      if (!(await claims.claim(job.name, job.everyMs))) return;
      await job.run().finally(() => claims.finish(job.name));
      report.succeededAt = new Date();
    } catch (error) {
      report.failures += 1;
      log.error({ error, job: job.name }, 'a job failed');
    }
    report.finishedAt = new Date();
    report.seconds = (performance.now() - startedAt) / 1000;
  }

  function startRun(job: Job, report: JobReport): void {
    if (running.has(job.name)) return;
    running.add(job.name);
    background.run(job.name, () => run(job, report).finally(() => running.delete(job.name)));
  }

  return {
    start(jobs) {
      for (const job of jobs) {
        const report: JobReport = {
          name: job.name,
          finishedAt: null,
          succeededAt: null,
          seconds: null,
          failures: 0,
        };
        reports.set(job.name, report);
        startRun(job, report);
        timers.push(setInterval(startRun, Math.min(job.everyMs, claims.pollMs), job, report).unref());
      }
    },
    stop() {
      for (const timer of timers.splice(0)) clearInterval(timer);
    },
    reports: () => [...reports.values()],
  };
}
