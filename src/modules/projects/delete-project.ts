import type { Principal } from '../../authz/principal.ts';
import { by } from '../audit/audit.service.ts';
import { checkUnconfined, lockProject } from './project-access.ts';
import type { ProjectDeps } from './project-deps.ts';

/** Deleting a project with many tokens takes time. Milliseconds. */
const transactionTimeouts = { maxWait: 60_000, timeout: 120_000 };

export const projectDeletion = ({ db, audit, users, revocations }: ProjectDeps) => ({
  /**
   * Deletes a project and its tokens. Its chats, documents and files, including those of its tokens, stay with its
   * owner, who could read them before. Open streams of the tokens end. Throws NOT_FOUND, and FORBIDDEN for a project
   * token.
   */
  async delete(principal: Principal, id: number): Promise<void> {
    checkUnconfined(principal);
    const gone = await db.prisma.$transaction(async (transaction) => {
      const { name, ownerId } = await lockProject(transaction, principal, id);
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
});
