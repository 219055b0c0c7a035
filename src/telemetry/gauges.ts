import { Counter, Gauge, type Registry } from 'prom-client';
import { version } from '../project-root.ts';
import type { JobReport } from '../scheduler.ts';
import type { Database } from '../store/database.ts';

interface Sources {
  db: Database;
  /** Returns the number of messages that wait for their chat session. */
  waitingMessages: () => number;
  /** Returns the number of answers that this process generates. */
  runningAnswers: () => number;
  /** Returns the number of files whose text is being extracted or waits for it. */
  unreadFiles: () => number;
  /** Returns the number of tasks that run in the background. */
  backgroundTasks: () => number;
  jobs: () => readonly JobReport[];
}

/** Adds a gauge whose value is read when the metrics are requested. */
function gauge(registry: Registry, name: string, help: string, value: () => number): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(value());
    },
  });
}

/** The metrics of the last run of each job. */
function observeJobs(registry: Registry, jobs: Sources['jobs']): void {
  const ofJob = (name: string, help: string, value: (report: JobReport) => number | null) =>
    new Gauge({
      name,
      help,
      labelNames: ['job'],
      registers: [registry],
      collect() {
        for (const report of jobs()) {
          const now = value(report);
          if (now !== null) this.set({ job: report.name }, now);
        }
      },
    });
  const unix = (date: Date | null) => date && date.getTime() / 1000;
  ofJob('job_last_run_timestamp_seconds', 'End of the last run of a job.', ({ finishedAt }) => unix(finishedAt));
  ofJob('job_last_success_timestamp_seconds', 'End of the last run of a job that did not fail.', ({ succeededAt }) =>
    unix(succeededAt),
  );
  ofJob('job_last_run_duration_seconds', 'Duration of the last run of a job.', ({ seconds }) => seconds);
  new Counter({
    name: 'job_failures_total',
    help: 'Runs of a job that failed.',
    labelNames: ['job'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { name, failures } of jobs()) this.inc({ job: name }, failures);
    },
  });
}

function observeDatabase(registry: Registry, { connections }: Database): void {
  new Gauge({
    name: 'database_connections',
    help: 'Open connections to the database by state: busy or idle. The embedded database has one.',
    labelNames: ['state'],
    registers: [registry],
    collect() {
      const { open, idle } = connections();
      this.set({ state: 'busy' }, open - idle);
      this.set({ state: 'idle' }, idle);
    },
  });
  gauge(
    registry,
    'database_requests_waiting',
    'Statements and transactions that wait for a connection.',
    () => connections().waiting,
  );
}

/** Adds the metrics that are read from the parts of a server when they are requested. */
export function observeServer(registry: Registry, sources: Sources): void {
  gauge(
    registry,
    'chat_messages_waiting',
    'Messages that wait until their chat session has answered earlier messages.',
    sources.waitingMessages,
  );
  gauge(registry, 'chat_answers_running', 'Answers that this process generates.', sources.runningAnswers);
  gauge(registry, 'files_unread', 'Uploaded files whose text is being extracted or waits for it.', sources.unreadFiles);
  gauge(
    registry,
    'background_tasks_running',
    'Tasks that run after their response was sent, such as extraction, indexing and answers.',
    sources.backgroundTasks,
  );
  observeDatabase(registry, sources.db);
  observeJobs(registry, sources.jobs);
  new Gauge({
    name: 'latchkey_build_info',
    help: 'Version of the server and of Node. The value is always 1.',
    labelNames: ['version', 'node_version'],
    registers: [registry],
  }).set({ version, node_version: process.versions.node }, 1);
}

/** A cache that counts its lookups. */
export interface CountedCache {
  readonly hits: number;
  readonly misses: number;
}

/** Adds the lookups of a cache, by result: hit or miss. */
export function observeCache(registry: Registry, name: string, help: string, cache: CountedCache): void {
  new Counter({
    name,
    help,
    labelNames: ['result'],
    registers: [registry],
    collect() {
      this.reset();
      this.inc({ result: 'hit' }, cache.hits);
      this.inc({ result: 'miss' }, cache.misses);
    },
  });
}
