import { randomInt } from 'node:crypto';
import { type Agent, Prisma } from '../../generated/prisma/client.ts';

/** The range of the random digits that follow a slug in use. */
const digits = [10_000_000, 100_000_000] as const;
/** Maximum attempts to find an unused slug. One collision is likely, three are not. */
const maxTries = 3;

const slugTaken = (error: unknown): boolean =>
  error instanceof Prisma.PrismaClientKnownRequestError &&
  error.code === 'P2002' &&
  // PostgreSQL reports the index, the embedded database the column.
  /\bslug\b|_slug_/.test(JSON.stringify(error.meta));

/** Stores an agent under a slug or, if another agent has it, under the slug with 8 digits. */
export async function underSlug(slug: string, store: (slug: string) => Promise<Agent>): Promise<Agent> {
  for (let tries = 1; ; tries++)
    try {
      return await store(tries === 1 ? slug : `${slug}-${randomInt(...digits)}`);
    } catch (error) {
      if (tries === maxTries || !slugTaken(error)) throw error;
    }
}
