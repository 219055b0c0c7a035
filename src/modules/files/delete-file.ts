import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { by } from '../audit/audit.service.ts';
import type { FilesDeps } from './files-deps.ts';
import { lockOwnFile } from './own-file.ts';

export const fileDeletion = ({ db, audit }: Pick<FilesDeps, 'db' | 'audit'>, sweep: () => void) => ({
  /**
   * Deletes an own file with its text, unless it belongs to projects, or to agents that the principal can edit, which
   * are returned instead. Messages, and agents that the principal can no longer edit, lose the file. Throws
   * NOT_FOUND.
   */
  async delete(principal: Principal, id: string): Promise<{ deleted: boolean; projects: string[]; agents: string[] }> {
    const uses = await db.prisma.$transaction(async (transaction) => {
      await lockOwnFile(transaction, principal, id);
      const { projects, agents } = await transaction.file.findUniqueOrThrow({
        where: { id },
        select: {
          projects: { select: { name: true }, orderBy: { id: 'asc' } },
          agents: {
            where: { AND: [visible.editableAgents(principal), { deletedAt: null }] },
            select: { name: true },
            orderBy: { id: 'asc' },
          },
        },
      });
      if (projects.length + agents.length === 0) {
        await transaction.file.delete({ where: { id } });
        await audit.record(transaction, { ...by(principal), action: 'file.delete', target: { type: 'File', id } });
      }
      return { projects: projects.map(({ name }) => name), agents: agents.map(({ name }) => name) };
    });
    const deleted = uses.projects.length + uses.agents.length === 0;
    if (deleted) sweep();
    return { deleted, ...uses };
  },
});
