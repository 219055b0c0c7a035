/** Decides which process runs a job that is due. */
export interface JobClaims {
  /** Returns whether this process runs the job now: no process has started it in the last `everyMs` milliseconds. */
  claim(job: string, everyMs: number): Promise<boolean>;
}

/** The claims of a process that shares its jobs with no other: its own schedule decides. */
export const inMemoryJobClaims = (): JobClaims => ({ claim: async () => true });
