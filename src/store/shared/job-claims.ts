/** Decides which process runs a job that is due. */
export interface JobClaims {
  /** Maximum time between two attempts to claim a job, in milliseconds. */
  readonly pollMs: number;
  /**
   * Returns whether this process runs the job now: no process has started it in the last `everyMs` milliseconds, or the
   * process that did was killed before the job ended.
   */
  claim(job: string, everyMs: number): Promise<boolean>;
  /** Reports the end of a claimed run, whether it failed or not. */
  finish(job: string): Promise<void>;
}

/** The claims of a process that shares its jobs with no other: its own schedule decides. */
export const inMemoryJobClaims = (): JobClaims => ({
  pollMs: Number.POSITIVE_INFINITY,
  claim: async () => true,
  finish: async () => {},
});
