import type { Principal } from '../../authz/principal.ts';
import { parse } from '../../errors.ts';
import type { Agent } from '../../generated/prisma/client.ts';
import { slugOf } from '../../slug.ts';
import { changesOf } from '../changes.ts';
import { readPreferences } from '../settings/settings.service.ts';
import type { AgentDeps } from './agent-deps.ts';
import { CreateAgent, type CreateAgentInput } from './agent-input.ts';
import { actionsOf, checkCount, checkFeature, checkName, checkReferences, columns } from './agent-rules.ts';
import { underSlug } from './agent-slug.ts';

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
        await checkCount(transaction, principal.userId);
        if (!data.allowSameName) await checkName(transaction, principal.userId, name);
        const systemPrompt =
          data.systemPrompt ?? (await readPreferences(transaction)).defaultSystemPrompt ?? usualPrompt ?? '';
        return transaction.agent.create({
          data: {
            ...columns(models, data),
            name,
            systemPrompt,
            slug,
            owner: { connect: { id: principal.userId } },
            starterMessages: {
              create: (data.starterMessages ?? []).map((message, position) => ({ ...message, position })),
            },
            labels: { connect: (data.labelIds ?? []).map((id) => ({ id })) },
            actions: { connect: actionsOf(data) ?? [] },
            documents: { connect: (data.documentIds ?? []).map((externalId) => ({ externalId })) },
            files: { connect: (data.fileIds ?? []).map((fileId) => ({ id: fileId })) },
            shares: { create: [...new Set(data.userIds ?? [])].map((userId) => ({ userId })) },
          },
        });
      });
    return underSlug(slugOf(name), create);
  },
});
