import type { Principal } from '../../authz/principal.ts';
import { parse } from '../../errors.ts';
import type { Agent } from '../../generated/prisma/client.ts';
import { slugOf } from '../../slug.ts';
import { changesOf } from '../changes.ts';
import { readPreferences } from '../settings/settings.service.ts';
import type { AgentDeps } from './agent-deps.ts';
import { type AgentChanges, CreateAgent, type CreateAgentInput } from './agent-input.ts';
import { actionsOf, checkFeature, checkNewAgent, checkReferences, columns } from './agent-rules.ts';
import { underSlug } from './agent-slug.ts';

/**
 * Returns the relations of a new agent. Those that the input does not have are left out, because Prisma reads an agent
 * with relations again after it has stored them.
 */
function relations(data: AgentChanges) {
  const { starterMessages, labelIds, documentIds, fileIds, userIds } = data;
  const actions = actionsOf(data);
  return {
    ...(starterMessages?.length && {
      starterMessages: { create: starterMessages.map((message, position) => ({ ...message, position })) },
    }),
    ...(labelIds?.length && { labels: { connect: labelIds.map((id) => ({ id })) } }),
    ...(actions?.length && { actions: { connect: actions } }),
    ...(documentIds?.length && { documents: { connect: documentIds.map((externalId) => ({ externalId })) } }),
    ...(fileIds?.length && { files: { connect: fileIds.map((id) => ({ id })) } }),
    ...(userIds?.length && { shares: { create: [...new Set(userIds)].map((userId) => ({ userId })) } }),
  };
}

export const agentCreation = ({ db, models }: AgentDeps) => ({
  /**
   * Creates an agent that the principal owns, with a slug derived from its name. Throws BAD_USER_INPUT, FORBIDDEN
   * when the input features the agent or sets its display priority without `manage:agents`, and CONFLICT when the
   * principal has another agent with this name, unless `allowSameName` is set, and for the 1001st agent.
   */
  async create(principal: Principal, input: CreateAgentInput): Promise<Agent> {
    const { usualPrompt, name, ...data } = changesOf(parse(CreateAgent, input));
    checkFeature(principal, data);
    const create = (slug: string) =>
      db.prisma.$transaction(async (transaction) => {
        await checkReferences(transaction, principal, data);
        await checkNewAgent(transaction, principal.userId, data.allowSameName ? null : name);
        const systemPrompt =
          data.systemPrompt ?? (await readPreferences(transaction)).defaultSystemPrompt ?? usualPrompt ?? '';
        return transaction.agent.create({
          data: {
            ...columns(models, data),
            name,
            systemPrompt,
            slug,
            ownerId: principal.userId,
            ...relations(data),
          },
        });
      });
    return underSlug(slugOf(name), create);
  },
});
