import type { Principal } from '../../authz/principal.ts';
import { conflict, parse } from '../../errors.ts';
import type { Project } from '../../generated/prisma/client.ts';
import { by } from '../audit/audit.service.ts';
import { checkUnconfined } from './project-access.ts';
import type { ProjectDeps } from './project-deps.ts';
import { CreateProject, type CreateProjectInput } from './project-input.ts';

/** Maximum number of projects of one user. */
const maxProjects = 1000;

export const projectCreation = ({ db, audit }: Pick<ProjectDeps, 'db' | 'audit'>) => ({
  /**
   * Creates a project. Throws BAD_USER_INPUT, FORBIDDEN for a project token, CONFLICT for the 1001st project of a user.
   */
  async create(principal: Principal, input: CreateProjectInput): Promise<Project> {
    checkUnconfined(principal);
    const { name, description, instructions } = parse(CreateProject, input);
    return db.prisma.$transaction(async (transaction) => {
      // Orders concurrent creations, so that the limit holds.
      await transaction.$queryRaw`SELECT 1 FROM "User" WHERE "id" = ${principal.userId}::uuid FOR NO KEY UPDATE`;
      if ((await transaction.project.count({ where: { ownerId: principal.userId } })) >= maxProjects)
        throw conflict('TOO_MANY_PROJECTS', `Too many projects (limit: ${maxProjects}).`);
      const project = await transaction.project.create({
        data: {
          name,
          description: description ?? null,
          instructions: instructions ?? null,
          ownerId: principal.userId,
        },
      });
      await audit.record(transaction, {
        ...by(principal),
        action: 'project.create',
        target: { type: 'Project', id: project.id },
        detail: { name },
      });
      return project;
    });
  },
});
