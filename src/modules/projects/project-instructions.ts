import type { Prisma } from '../../generated/prisma/client.ts';

/** Returns the instructions of a project for its chats, or null. */
export async function instructionsOf(
  transaction: Prisma.TransactionClient,
  projectId: number | null,
): Promise<string | null> {
  if (projectId === null) return null;
  const where = { id: projectId };
  return (await transaction.project.findUnique({ where, select: { instructions: true } }))?.instructions ?? null;
}
