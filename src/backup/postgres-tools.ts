import { spawn } from 'node:child_process';
import pg from 'pg';
import { databaseProblem } from '../store/database-problem.ts';
import { connectionOptions } from '../store/pg-connection.ts';
import { BackupError } from './manifest.ts';

/** Number of characters of the output of a failed program that are displayed. */
const maxOutput = 500;

/**
 * Runs a program of PostgreSQL on a database. The password is passed in the environment, because every user of the
 * machine can read arguments. Throws BackupError.
 */
async function run(program: 'pg_dump' | 'pg_restore', databaseUrl: string, args: string[]): Promise<void> {
  const url = new URL(databaseUrl);
  const password = decodeURIComponent(url.password);
  url.password = '';
  const child = spawn(program, [`--dbname=${url.href}`, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...(password !== '' && { PGPASSWORD: password }) },
  });
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(-maxOutput);
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('close', resolve);
    child.on('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'ENOENT'
          ? new BackupError(`${program} is not installed: install the client programs of PostgreSQL`)
          : error,
      ),
    );
  });
  if (code !== 0) throw new BackupError(`${program} failed: ${output.trim().replaceAll(/\s*\n\s*/g, ' ')}`);
}

/** Writes the database to a file, as it is at one moment. The server can run meanwhile. Throws BackupError. */
export const dumpDatabase = (databaseUrl: string, file: string): Promise<void> =>
  run('pg_dump', databaseUrl, ['--format=custom', '--no-owner', '--no-privileges', `--file=${file}`]);

/** Restores a database in one transaction. Throws BackupError. */
export const restoreDatabase = (databaseUrl: string, file: string): Promise<void> =>
  run('pg_restore', databaseUrl, ['--no-owner', '--no-privileges', '--exit-on-error', '--single-transaction', file]);

/** Returns whether a database has no tables. Throws StartupError when it cannot be reached. */
export async function isEmptyDatabase(databaseUrl: string): Promise<boolean> {
  const client = new pg.Client(connectionOptions(databaseUrl));
  try {
    await client.connect();
    const { rows } = await client.query(
      `SELECT 1 FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace LIMIT 1`,
    );
    return rows.length === 0;
  } catch (error) {
    throw databaseProblem(error, databaseUrl);
  } finally {
    await client.end().catch(() => {});
  }
}
