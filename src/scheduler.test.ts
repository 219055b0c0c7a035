import { afterEach, expect, test, vi } from 'vitest';
import { until } from '../test/kit.ts';
import { createLog } from './log.ts';
import { createScheduler, type Job } from './scheduler.ts';
import { createBackground } from './store/background.ts';
import { inMemoryJobClaims, type JobClaims } from './store/shared/job-claims.ts';

afterEach(() => {
  vi.useRealTimers();
});

function startScheduler(jobs: Job[], claims: JobClaims = inMemoryJobClaims()) {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const log = createLog('silent');
  const background = createBackground(log);
  const scheduler = createScheduler({ claims, background, log });
  scheduler.start(jobs);
  const reportOf = (name: string) => scheduler.reports().find((report) => report.name === name);
  return { background, scheduler, reportOf };
}

/** A job that counts its runs. */
function counting(name: string, everyMs: number, work: () => Promise<void> = async () => {}) {
  const job = {
    name,
    everyMs,
    runs: 0,
    run() {
      job.runs++;
      return work();
    },
  };
  return job;
}

test('runs each job at the start and at its interval, until it is stopped', async () => {
  const [often, rarely] = [counting('often', 10), counting('rarely', 30)];
  const { background, scheduler, reportOf } = startScheduler([often, rarely]);
  await background.settled();
  expect([often.runs, rarely.runs]).toEqual([1, 1]);
  for (let tick = 0; tick < 3; tick++) {
    vi.advanceTimersByTime(10);
    await background.settled();
  }
  expect([often.runs, rarely.runs]).toEqual([4, 2]);
  expect(reportOf('often')).toMatchObject({ failures: 0, succeededAt: expect.any(Date), seconds: expect.any(Number) });
  scheduler.stop();
  vi.advanceTimersByTime(100);
  await background.settled();
  expect([often.runs, rarely.runs]).toEqual([4, 2]);
});

test('a job that fails is counted, runs again, and does not affect another job', async () => {
  let isBroken = true;
  const broken = counting('broken', 10, async () => {
    if (isBroken) throw new Error('broken');
  });
  const other = counting('other', 10);
  const { background, reportOf } = startScheduler([broken, other]);
  await background.settled();
  expect(reportOf('broken')).toMatchObject({ failures: 1, succeededAt: null, finishedAt: expect.any(Date) });
  expect(other.runs).toBe(1);
  isBroken = false;
  vi.advanceTimersByTime(10);
  await background.settled();
  expect([broken.runs, other.runs]).toEqual([2, 2]);
  expect(reportOf('broken')).toMatchObject({ failures: 1, succeededAt: expect.any(Date) });
});

test('a job that hangs is not started a second time, and does not delay another job', async () => {
  let finish = () => {};
  const hanging = counting('hanging', 10, () => new Promise((resolve) => (finish = resolve)));
  const other = counting('other', 10);
  const { background, reportOf } = startScheduler([hanging, other]);
  await until(() => reportOf('other')?.finishedAt ?? undefined);
  vi.advanceTimersByTime(10);
  await until(() => other.runs === 2);
  expect(hanging.runs).toBe(1);
  expect(reportOf('hanging')?.finishedAt).toBeNull();
  finish();
  await background.settled();
  vi.advanceTimersByTime(10);
  await until(() => hanging.runs === 2);
  finish();
  await background.settled();
});

test('a job that another process has claimed does not run, and neither does one whose claim fails', async () => {
  const [claimed, mine, unknown] = [counting('claimed', 10), counting('mine', 10), counting('unknown', 10)];
  const { background, reportOf } = startScheduler([claimed, mine, unknown], {
    ...inMemoryJobClaims(),
    async claim(job) {
      if (job === 'unknown') throw new Error('the store is gone');
      return job === 'mine';
    },
  });
  await background.settled();
  expect([claimed.runs, mine.runs, unknown.runs]).toEqual([0, 1, 0]);
  expect(reportOf('claimed')).toMatchObject({ finishedAt: null, failures: 0 });
  expect(reportOf('unknown')).toMatchObject({ failures: 1, succeededAt: null });
});
