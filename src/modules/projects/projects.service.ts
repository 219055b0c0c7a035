import { z } from 'zod';
import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { conflict, denied, notFound, parse } from '../../errors.ts';
import type { Prisma, Project } from '../../generated/prisma/client.ts';
import { cut, ListOrders, type Page } from '../../paging.ts';
import type { Database } from '../../store/database.ts';
import type { Revocations } from '../../store/shared/revocations.ts';
import { containing, plainText } from '../../zod-types.ts';
import { type AuditService, by } from '../audit/audit.service.ts';
import { changesOf, clearList } from '../changes.ts';
import type { UsersService } from '../users/users.service.ts';

const CreateProject = z.object({
  name: plainText(1000).trim().min(1, 'must not be empty').max(100, 'must be at most 100 characters'),
  description: plainText(2000).nullish(),
  instructions: plainText(20_000).nullish(),
});
const UpdateProject = CreateProject.extend({
  name: CreateProject.shape.name.nullish(),
  clear: clearList(['description', 'instructions']),
});

export type CreateProjectInput = z.input<typeof CreateProject>;
export type UpdateProjectInput = z.input<typeof UpdateProject>;

/** Maximum number of projects of one user. */
const maxProjects = 1000;

/** Deleting a project with many tokens takes time. Milliseconds. */
const transactionTimeouts = { maxWait: 60_000, timeout: 120_000 };

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

export type ProjectFilter = z.input<typeof Filter>;

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

/** Returns the instructions of a project for its chats, or null. */
export async function instructionsOf(
  transaction: Prisma.TransactionClient,
  projectId: number | null,
): Promise<string | null> {
  if (projectId === null) return null;
  const where = { id: projectId };
  return (await transaction.project.findUnique({ where, select: { instructions: true } }))?.instructions ?? null;
}

export function createProjectsService(
  db: Database,
  audit: AuditService,
  users: UsersService,
  revocations: Revocations,
) {
  /** Locks a project against every other change. Throws NOT_FOUND. */
  async function claim(transaction: Prisma.TransactionClient, principal: Principal, id: number): Promise<Project> {
    await transaction.$queryRaw`SELECT 1 FROM "Project" WHERE "id" = ${id}::int FOR UPDATE`;
    const project = await transaction.project.findFirst({ where: { AND: [visible.projects(principal), { id }] } });
    if (!project) throw notFound('PROJECT_NOT_FOUND');
    return project;
  }

  function chosen(principal: Principal, filter: ProjectFilter): Prisma.ProjectWhereInput {
    const { search } = parse(Filter, filter, ['filter']);
    const matches = containing(search ?? '');
    return {
      AND: [
        visible.projects(principal),
        search == null ? {} : { OR: [{ nameForm: matches }, { descriptionForm: matches }] },
      ],
    };
  }

  return {
    /** Throws NOT_FOUND for a project that does not exist or belongs to another user. */
    async find(principal: Principal, id: number, query: object = {}): Promise<Project> {
      const where = { AND: [visible.projects(principal), { id }] };
      const project = await db.prisma.project.findFirst({ ...query, where });
      if (!project) throw notFound('PROJECT_NOT_FOUND');
      return project;
    },

    /** Returns a page of the principal's own projects that the filter selects. Throws BAD_USER_INPUT. */
    async list(principal: Principal, filter: ProjectFilter, page: Page) {
      const where = { AND: [chosen(principal, filter), page.where] };
      return cut(await db.prisma.project.findMany({ ...page, where }), page);
    },

    count: (principal: Principal, filter: ProjectFilter) =>
      db.prisma.project.count({ where: chosen(principal, filter) }),

    /** Throws BAD_USER_INPUT, FORBIDDEN for a project token, CONFLICT for the 1001st project of a user. */
    async create(principal: Principal, input: CreateProjectInput): Promise<Project> {
      unconfined(principal);
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

    /** Changes the given fields; null or absent fields are left unchanged. Throws NOT_FOUND, BAD_USER_INPUT. */
    async update(principal: Principal, id: number, input: UpdateProjectInput): Promise<Project> {
      const data = changesOf(parse(UpdateProject, input));
      return db.prisma.$transaction(async (transaction) => {
        const before = await claim(transaction, principal, id);
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

    /**
     * Deletes a project and its tokens. Its chats, documents and files, including those of its tokens, stay with its
     * owner, who could read them before. Open streams of the tokens end. Throws NOT_FOUND, and FORBIDDEN for a project
     * token.
     */
    async delete(principal: Principal, id: number): Promise<void> {
      unconfined(principal);
      const gone = await db.prisma.$transaction(async (transaction) => {
        const { name, ownerId } = await claim(transaction, principal, id);
        const tokens = await transaction.token.findMany({
          where: { kind: 'PROJECT', projectId: id },
          select: { id: true, userId: true },
        });
        const tokenUsers = tokens.map(({ userId }) => userId);
        // Locked before their objects, in the order of all writes for a user; waits for a file whose text is being
        // extracted.
        await transaction.$queryRaw`SELECT 1 FROM "User" WHERE "id" = ANY (${tokenUsers}::uuid[]) ORDER BY "id" FOR UPDATE`;
        // In SQL, since handing over a chat is not a use of it: its time is unchanged. A chat that a token deleted is
        // erased. The chat becomes a thread, since the name that the token's client gave it could be used by the
        // owner's client.
        await transaction.$executeRaw`UPDATE "ChatSession" SET "userId" = ${ownerId}::uuid, "projectId" = NULL, "clientKey" = NULL
          WHERE "projectId" = ${id}::int AND "userId" = ANY (${tokenUsers}::uuid[]) AND "deletedAt" IS NULL`;
        await transaction.$executeRaw`UPDATE "Document" SET "ownerId" = ${ownerId}::uuid, "projectId" = NULL
          WHERE "projectId" = ${id}::int AND "ownerId" = ANY (${tokenUsers}::uuid[])`;
        await transaction.$executeRaw`UPDATE "Document" SET "ownerId" = ${ownerId}::uuid
          WHERE "fileId" IS NOT NULL AND "ownerId" = ANY (${tokenUsers}::uuid[])`;
        await transaction.$executeRaw`UPDATE "File" SET "ownerId" = ${ownerId}::uuid
          WHERE "ownerId" = ANY (${tokenUsers}::uuid[])`;
        for (const userId of tokenUsers) await users.erase(transaction, userId);
        await transaction.project.delete({ where: { id } });
        await audit.record(transaction, {
          ...by(principal),
          action: 'project.delete',
          target: { type: 'Project', id },
          detail: { name, tokenIds: tokens.map((token) => token.id) },
        });
        return tokenUsers;
      }, transactionTimeouts);
      for (const userId of gone) await revocations.endUser(userId);
    },
  };
}

function unconfined({ credential }: Principal): void {
  if (credential.projectId !== null)
    throw denied('PROJECT_TOKEN_CONFINED', 'A project token cannot create or delete projects.');
}
