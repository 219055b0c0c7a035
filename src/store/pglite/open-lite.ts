import { PGlite } from '@electric-sql/pglite';

/**
 * PostgreSQL reserves this buffer at its start. The operating system caches the same files, so a larger buffer would
 * hold them twice. PostgreSQL's default is 128 MB.
 */
const sharedBuffers = 'shared_buffers=24MB';

/** Last error in PostgreSQL's log, which explains why PostgreSQL does not start. */
let problem = '';

function onStderr(line: string): boolean {
  const said = /(?:^postgres|\b(?:FATAL|PANIC|ERROR)): +(.*)/.exec(line)?.[1];
  const more = /\bDETAIL: +(.*)/.exec(line)?.[1];
  if (said) problem = said;
  if (more) problem = `${problem}: ${more}`;
  return false;
}

/** Opens the PGlite in a folder. An empty folder gets a new database. */
export function openLite(folder: string): Promise<PGlite> {
  const startParams = [...PGlite.defaultStartParams, '-c', sharedBuffers];
  return PGlite.create({ dataDir: folder, startParams, onStderr });
}

/** Returns the reason for a failure. Emscripten throws objects with a number for errors of its file system. */
export function reasonOf(error: unknown): string {
  return problem || (error instanceof Error ? error.message : `its files cannot be used (${JSON.stringify(error)})`);
}
