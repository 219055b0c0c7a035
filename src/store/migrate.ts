import { createHash, randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../project-root.ts';
import { StartupError } from '../startup-error.ts';

/** One connection that runs plain SQL, with several statements per call. */
export interface SqlSession {
  exec(sql: string): Promise<unknown>;
  query<Row>(sql: string, values?: unknown[]): Promise<Row[]>;
}

const folder = join(projectRoot, 'prisma', 'migrations');

/** Returns the migrations of this version, in order. */
const migrationNames = () =>
  readdirSync(folder)
    .filter((name) => /^\d{14}_/.test(name))
    .sort();

/**
 * An arbitrary number that is the same in every process, so that two servers that start at once migrate one after the
 * other.
 */
const lockId = 7_203_841_159;

/**
 * Applies the missing migrations, each in a separate transaction, and records them in Prisma's table. Uses plain SQL
 * because `prisma migrate` downloads an engine. Throws StartupError when a migration fails, or when a newer version has
 * migrated the database: this version would write data that the newer one does not expect.
 */
export async function migrate(session: SqlSession): Promise<string[]> {
  await session.query('SELECT pg_advisory_lock($1)', [lockId]);
  try {
    await session.exec(`CREATE TABLE IF NOT EXISTS "_prisma_migrations" (
      "id" VARCHAR(36) PRIMARY KEY, "checksum" VARCHAR(64) NOT NULL, "finished_at" TIMESTAMPTZ,
      "migration_name" VARCHAR(255) NOT NULL, "logs" TEXT, "rolled_back_at" TIMESTAMPTZ,
      "started_at" TIMESTAMPTZ NOT NULL DEFAULT now(), "applied_steps_count" INTEGER NOT NULL DEFAULT 0)`);
    const done = new Set(
      (
        await session.query<{ migration_name: string }>(
          'SELECT migration_name FROM "_prisma_migrations" WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL',
        )
      ).map((row) => row.migration_name),
    );
    const known = new Set(migrationNames());
    const unknown = [...done].filter((name) => !known.has(name)).sort();
    if (unknown.length > 0)
      throw new StartupError(
        `the database was migrated by a newer version of Latchkey (unknown migration ${unknown.at(-1)}); start that version, or restore a backup`,
      );
    const missing = [...known].filter((name) => !done.has(name));
    for (const name of missing) {
      const sql = readFileSync(join(folder, name, 'migration.sql'), 'utf8');
      await session.exec('BEGIN');
      try {
        await session.exec(sql);
        await session.query(
          `INSERT INTO "_prisma_migrations" (id, checksum, migration_name, finished_at, applied_steps_count)
           VALUES ($1, $2, $3, now(), 1)`,
          [randomUUID(), createHash('sha256').update(sql).digest('hex'), name],
        );
        await session.exec('COMMIT');
      } catch (error) {
        await session.exec('ROLLBACK');
        throw new StartupError(`migration ${name} failed: ${(error as Error).message}`, { cause: error });
      }
    }
    return missing;
  } finally {
    await session.query('SELECT pg_advisory_unlock($1)', [lockId]);
  }
}
