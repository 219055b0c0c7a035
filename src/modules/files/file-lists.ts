import { z } from 'zod';
import { demand, type Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { notFound, parse } from '../../errors.ts';
import type { File, Prisma } from '../../generated/prisma/client.ts';
import { cut, ListOrder, ListOrders, type Page } from '../../paging.ts';
import { containing, plainText } from '../../zod-types.ts';
import type { FilesDeps } from './files-deps.ts';

/** The order of the files of an agent. */
export const agentFileOrder = new ListOrder('agentFiles', [
  { field: 'createdAt', type: 'date', direction: 'asc' },
  { field: 'id', type: 'uuid', direction: 'asc' },
]);

const byId = { field: 'id', type: 'uuid', direction: 'asc' } as const;

export const fileOrders = new ListOrders(
  'files',
  {
    CREATED_AT: [{ field: 'createdAt', type: 'date', direction: 'asc' }, byId],
    NAME: [{ field: 'name', type: 'text', direction: 'asc' }, byId],
    SIZE: [{ field: 'size', type: 'int', direction: 'asc' }, byId],
  },
  { field: 'CREATED_AT', direction: 'DESC' },
);

interface FileFilter {
  projectId?: number | null | undefined;
  ids?: readonly string[] | null | undefined;
  /** Selects the files of the messages of this session, and of its project. */
  sessionId?: string | null | undefined;
  /** Text that the file name contains, ignoring case. */
  search?: string | null | undefined;
}

const Filter = z.object({
  projectId: z.number().nullish(),
  ids: z.array(z.uuid()).max(1000).nullish(),
  sessionId: z.uuid().nullish(),
  search: plainText(200).nullish(),
});

/** Selects the files of a chat: those of its messages and of its project. */
const inSession = (principal: Principal, id: string): Prisma.FileWhereInput => ({
  OR: [
    { messages: { some: { session: { AND: [visible.chatSessions(principal), { id }] } } } },
    { projects: { some: { chatSessions: { some: { AND: [visible.chatSessions(principal), { id }] } } } } },
  ],
});

/** Returns the condition for the files that a filter selects. Throws BAD_USER_INPUT, FORBIDDEN. */
const chosen = (principal: Principal, filter: FileFilter): Prisma.FileWhereInput => {
  const { projectId, ids, sessionId, search } = parse(Filter, filter, ['filter']);
  // The files of a chat are part of its history.
  if (sessionId != null) demand(principal, 'read:chat');
  const named = projectId != null || ids != null || sessionId != null;
  return {
    AND: [
      visible.files(principal),
      // Without a filter, the principal's own files; for a project token, the files of its project.
      named ? {} : principal.credential.projectId === null ? visible.ownFiles(principal) : {},
      projectId == null ? {} : { projects: { some: { AND: [visible.projects(principal), { id: projectId }] } } },
      ids == null ? {} : { id: { in: [...ids] } },
      sessionId == null ? {} : inSession(principal, sessionId),
      search == null ? {} : { nameForm: containing(search) },
    ],
  };
};

export const fileLists = ({ db }: Pick<FilesDeps, 'db'>) => ({
  /** Throws NOT_FOUND for a file that does not exist or that the principal cannot read. */
  async find(principal: Principal, id: string, query: object = {}): Promise<File> {
    const where = { AND: [visible.files(principal), { id }] };
    const file = await db.prisma.file.findFirst({ ...query, where });
    if (!file) throw notFound('FILE_NOT_FOUND');
    return file;
  },

  /**
   * Returns a page of the principal's own files, or of the readable files that the filter selects. Throws
   * BAD_USER_INPUT.
   */
  async list(principal: Principal, filter: FileFilter, page: Page) {
    const where = { AND: [chosen(principal, filter), page.where] };
    return cut(await db.prisma.file.findMany({ ...page, where }), page);
  },

  count: (principal: Principal, filter: FileFilter) => db.prisma.file.count({ where: chosen(principal, filter) }),
});
