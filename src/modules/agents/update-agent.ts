import { can, type Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, parse } from '../../errors.ts';
import type { Agent, Prisma } from '../../generated/prisma/client.ts';
import { changesOf } from '../changes.ts';
import type { AgentDeps } from './agent-deps.ts';
import { type AgentChanges, UpdateAgent, type UpdateAgentInput } from './agent-input.ts';
import { actionsOf, checkFeature, checkName, checkReferences, columns } from './agent-rules.ts';
import { type AgentKey, agentToChange } from './by-slug.ts';
import { setShares } from './share-agent.ts';

/**
 * Returns the entries of an agent that an update with complete lists removes: those that the principal can see and did
 * not send. Entries that the principal cannot see are kept, since a client cannot send back what it did not receive.
 */
async function entriesToDrop(
  transaction: Prisma.TransactionClient,
  principal: Principal,
  agentId: number,
  { documentIds, fileIds, actionIds, builtinActions }: AgentChanges,
) {
  const agents = { some: { id: agentId } };
  const select = { id: true };
  return {
    documents:
      documentIds && can(principal, 'read:search')
        ? await transaction.document.findMany({
            where: { AND: [visible.documents(principal), { agents, externalId: { notIn: documentIds } }] },
            select,
          })
        : [],
    files:
      fileIds && can(principal, 'read:search')
        ? await transaction.file.findMany({
            where: { AND: [visible.agentFiles(principal), { agents, id: { notIn: fileIds } }] },
            select,
          })
        : [],
    actions:
      (actionIds || builtinActions) && can(principal, 'read:actions')
        ? await transaction.action.findMany({
            where: {
              agents,
              id: { notIn: actionIds ?? [] },
              OR: [{ builtinKey: null }, { builtinKey: { notIn: builtinActions ?? [] } }],
            },
            select,
          })
        : [],
  };
}

export const agentUpdates = ({ db, models }: AgentDeps) => ({
  /**
   * Changes the given fields; null or absent fields are left unchanged. A list replaces the entries that the
   * principal can see and keeps the others. Allowed for the owner, for editors and with `manage:agents`; editors
   * cannot change who can see the agent.
   */
  async update(principal: Principal, key: AgentKey, input: UpdateAgentInput): Promise<Agent> {
    const data = changesOf(parse(UpdateAgent, input));
    return db.prisma.$transaction(async (transaction) => {
      const before = await agentToChange(transaction, principal, key, visible.editableAgents(principal));
      const { id } = before;
      const opens = (data.isPublic !== undefined && data.isPublic !== before.isPublic) || data.userIds !== undefined;
      if (opens) await agentToChange(transaction, principal, id, visible.ownedAgents(principal));
      if (before.isBuiltin && data.name !== undefined && data.name !== before.name)
        throw badInput(['input', 'name'], 'must stay the same for a built-in agent', 'BUILT_IN');
      checkFeature(principal, data, before);
      await checkReferences(transaction, principal, data, id);
      if (data.name !== undefined && data.name !== before.name && !data.allowSameName)
        await checkName(transaction, before.ownerId, data.name, id);
      if (data.userIds !== undefined)
        await setShares(
          transaction,
          id,
          data.userIds.map((userId) => ({ userId })),
        );
      const dropped = await entriesToDrop(transaction, principal, id, data);
      return transaction.agent.update({
        where: { id },
        data: {
          ...columns(models, data),
          // Removing a document also unpins it.
          pinnedDocuments: { disconnect: dropped.documents },
          ...(data.starterMessages && {
            starterMessages: {
              deleteMany: {},
              create: data.starterMessages.map((message, position) => ({ ...message, position })),
            },
          }),
          ...(data.labelIds && { labels: { set: data.labelIds.map((labelId) => ({ id: labelId })) } }),
          actions: { disconnect: dropped.actions, connect: actionsOf(data) ?? [] },
          documents: {
            disconnect: dropped.documents,
            connect: (data.documentIds ?? []).map((externalId) => ({ externalId })),
          },
          files: { disconnect: dropped.files, connect: (data.fileIds ?? []).map((fileId) => ({ id: fileId })) },
        },
      });
    });
  },
});
