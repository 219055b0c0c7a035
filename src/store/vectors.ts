import type { Log } from '../log.ts';
import type { Database } from './database.ts';

/**
 * Has vectors compared by the extension pgvector where the database has it, or may make it, instead of by the function
 * of the migrations, which any PostgreSQL has and which takes many times as long. Both say the same.
 */
export async function useVectorExtension({ prisma }: Pick<Database, 'prisma'>, log: Log): Promise<void> {
  try {
    const [known] = await prisma.$queryRaw<{ there: boolean }[]>`
      SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector') AS there`;
    if (!known?.there) return;
    await prisma.$executeRawUnsafe('CREATE EXTENSION IF NOT EXISTS vector');
    await prisma.$executeRawUnsafe(`
      CREATE OR REPLACE FUNCTION "dot_product"(a REAL[], b REAL[]) RETURNS DOUBLE PRECISION
      LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT -(a::vector <#> b::vector)'`);
  } catch (error) {
    log.warn(
      { reason: (error as Error).message },
      'pgvector is there and cannot be used; vectors are compared without',
    );
  }
}
