import type { Format } from './kinds.ts';

/** What the server asks of the process that reads. */
export interface Job {
  format: Format;
  bytes: Uint8Array;
  /** The encoding that the sender of a text declared. */
  charset: string | null;
}

/** What it is told: first that the process is ready, then what became of each job. */
export type Message = 'ready' | Done;

export interface Done {
  answer: Answer;
  /** What the job left behind in the memory is the next one's to miss, so that one needs another process. */
  spent: boolean;
}

export type Answer = { text: string } | { refused: string };

/** The code that the process ends with when a file fills more memory than it may. */
export const MEMORY_EXIT = 86;
