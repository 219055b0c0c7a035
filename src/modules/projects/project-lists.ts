import { z } from 'zod';
import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { notFound, parse } from '../../errors.ts';
import type { Prisma, Project } from '../../generated/prisma/client.ts';
import { cut, ListOrders, type Page } from '../../paging.ts';
import { containing, plainText } from '../../zod-types.ts';
import type { ProjectDeps } from './project-deps.ts';

const byId = { field: 'id', type: 'int', direction: 'asc' } as const;

export const projectOrders = new ListOrders(
  'projects',
  {
    CREATED_AT: [byId],
    UPDATED_AT: [{ field: 'updatedAt', type: 'date', direction: 'asc' }, byId],
    NAME: [{ field: 'name', type: 'text', direction: 'asc' }, byId],
  },
  { field: 'CREATED_AT', direction: 'DESC' },
);

const Filter = z.object({ search: plainText(200).nullish() });

type ProjectFilter = z.input<typeof Filter>;

/** Throws BAD_USER_INPUT. */
function matching(principal: Principal, filter: ProjectFilter): Prisma.ProjectWhereInput {
  const { search } = parse(Filter, filter, ['filter']);
  const matches = containing(search ?? '');
  return {
    AND: [
      visible.projects(principal),
      search == null ? {} : { OR: [{ nameForm: matches }, { descriptionForm: matches }] },
    ],
  };
}

export const projectLists = ({ db }: Pick<ProjectDeps, 'db'>) => ({
  /** Returns a project. Throws NOT_FOUND for one that does not exist or belongs to another user. */
  async find(principal: Principal, id: number, query: object = {}): Promise<Project> {
    const where = { AND: [visible.projects(principal), { id }] };
    const project = await db.prisma.project.findFirst({ ...query, where });
    if (!project) throw notFound('PROJECT_NOT_FOUND');
    return project;
  },

  /** Returns a page of the principal's own projects that the filter selects. Throws BAD_USER_INPUT. */
  async list(principal: Principal, filter: ProjectFilter, page: Page) {
    const where = { AND: [matching(principal, filter), page.where] };
    return cut(await db.prisma.project.findMany({ ...page, where }), page);
  },

  count: (principal: Principal, filter: ProjectFilter) =>
    db.prisma.project.count({ where: matching(principal, filter) }),
});
