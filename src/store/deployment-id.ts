import { createHash, randomUUID } from 'node:crypto';
import type { Database } from './database.ts';

/** The key of the setting that stores the random part of the identity. */
const key = 'deployment';

/**
 * Returns the identity of a database, which separates servers that use the same Redis. A copy of the database in
 * another place has another identity.
 */
export async function deploymentId({ prisma }: Pick<Database, 'prisma'>): Promise<string> {
  await prisma.$executeRaw`
    INSERT INTO "Setting" ("key", "value", "updatedAt")
    VALUES (${key}, ${JSON.stringify({ id: randomUUID() })}::jsonb, now()) ON CONFLICT DO NOTHING`;
  const [row] = await prisma.$queryRaw<{ value: unknown; name: string; oid: string }[]>`
    SELECT s."value", d.datname AS "name", d.oid::text AS "oid" FROM "Setting" s, pg_database d
    WHERE s."key" = ${key} AND d.datname = current_database()`;
  const [granted] = await prisma.$queryRaw<{ granted: boolean }[]>`
    SELECT has_function_privilege('pg_control_system()', 'execute') AS "granted"`;
  const [cluster] = granted?.granted
    ? await prisma.$queryRaw<{ id: string }[]>`SELECT system_identifier::text AS "id" FROM pg_control_system()`
    : [];
  const identity = JSON.stringify([row?.value, row?.name, row?.oid, cluster?.id ?? null]);
  return createHash('sha256').update(identity).digest('hex').slice(0, 16);
}
