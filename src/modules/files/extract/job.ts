import type { Format } from './kinds.ts';

/** A request to the process that reads files. */
export interface Job {
  format: Format;
  bytes: Uint8Array;
  /** The encoding that the sender of a text declared. */
  charset: string | null;
}

/** A message of that process: first that it is ready, then the result of each job. */
export type Message = 'ready' | Done;

interface Done {
  answer: Answer;
  /** Set when the job left memory allocated, so that the next job needs another process. */
  spent: boolean;
}

export type Answer = { text: string } | { refused: string };

/** The exit code of a process that exceeded its memory limit. */
export const MEMORY_EXIT = 86;
