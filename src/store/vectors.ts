import type { Log } from '../log.ts';
import type { Database } from './database.ts';

/**
 * Compares vectors with pgvector where the extension is installed or can be created, and otherwise with the SQL
 * function of the migrations, which is many times slower. The results are the same.
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
