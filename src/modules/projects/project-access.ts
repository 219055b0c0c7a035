import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { denied, notFound } from '../../errors.ts';
import type { Prisma, Project } from '../../generated/prisma/client.ts';

/**
 * Returns whether a project that was loaded with another object is visible to the principal: `visible.projects`,
 * applied to a row.
 */
export const seesProject = ({ userId, credential }: Principal, project: { id: number; ownerId: string }): boolean =>
  credential.projectId === null ? project.ownerId === userId : project.id === credential.projectId;

/**
 * Returns the project that a new object is added to, locked until the transaction ends. Throws `missing` for a project
 * that does not exist or belongs to another user.
 */
export async function projectToFill(
  transaction: Prisma.TransactionClient,
  principal: Principal,
  id: number,
  missing: Error,
): Promise<Project> {
  await transaction.$queryRaw`SELECT 1 FROM "Project" WHERE "id" = ${id}::int FOR KEY SHARE`;
  const project = await transaction.project.findFirst({ where: { AND: [visible.projects(principal), { id }] } });
  if (!project) throw missing;
  return project;
}

/**
 * Returns the project of a new chat session: the requested one, that of a project token, or null. Throws NOT_FOUND for
 * a project of another user.
 */
export async function projectForSession(
  transaction: Prisma.TransactionClient,
  principal: Principal,
  asked: number | null | undefined,
): Promise<Project | null> {
  const id = asked ?? principal.credential.projectId;
  return id === null ? null : projectToFill(transaction, principal, id, notFound('PROJECT_NOT_FOUND'));
}

/** Locks a project against every other change. Throws NOT_FOUND. */
export async function lockProject(
  transaction: Prisma.TransactionClient,
  principal: Principal,
  id: number,
): Promise<Project> {
  await transaction.$queryRaw`SELECT 1 FROM "Project" WHERE "id" = ${id}::int FOR UPDATE`;
  const project = await transaction.project.findFirst({ where: { AND: [visible.projects(principal), { id }] } });
  if (!project) throw notFound('PROJECT_NOT_FOUND');
  return project;
}

/** Throws FORBIDDEN for a project token. */
export function checkUnconfined({ credential }: Principal): void {
  if (credential.projectId !== null)
    throw denied('PROJECT_TOKEN_CONFINED', 'A project token cannot create or delete projects.');
}
