import type { Principal } from '../../authz/principal.ts';
import { parse } from '../../errors.ts';
import type { Project } from '../../generated/prisma/client.ts';
import { by } from '../audit/audit.service.ts';
import { changesOf } from '../changes.ts';
import { lockProject } from './project-access.ts';
import type { ProjectDeps } from './project-deps.ts';
import { UpdateProject, type UpdateProjectInput } from './project-input.ts';

export const projectUpdates = ({ db, audit }: Pick<ProjectDeps, 'db' | 'audit'>) => ({
  /** Changes the given fields; null or absent fields are left unchanged. Throws NOT_FOUND, BAD_USER_INPUT. */
  async update(principal: Principal, id: number, input: UpdateProjectInput): Promise<Project> {
    const data = changesOf(parse(UpdateProject, input));
    return db.prisma.$transaction(async (transaction) => {
      const before = await lockProject(transaction, principal, id);
      if (Object.keys(data).length === 0) return before;
      const project = await transaction.project.update({ where: { id }, data });
      await audit.record(transaction, {
        ...by(principal),
        action: 'project.update',
        target: { type: 'Project', id },
        detail: { name: project.name, changed: Object.keys(data) },
      });
      return project;
    });
  },
});
