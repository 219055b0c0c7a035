import { z } from 'zod';
import type { ChatModels } from '../../ai/providers.ts';
import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, conflict, notFound } from '../../errors.ts';
import { type Agent, type ChatSession, Prisma } from '../../generated/prisma/client.ts';
import { slugOf } from '../../slug.ts';
import { databaseId, plainText } from '../../zod-types.ts';
import { agentBySlug } from '../agents/by-slug.ts';
import { projectForSession } from '../projects/project-access.ts';
import { chosenModel, modelOverrides } from './overrides.ts';
import { createSession } from './tree.ts';

/** The input for a new session. */
export const NewSession = z.object({
  /** Defaults to 0, the built-in agent, when neither is given. */
  agentId: databaseId.nullish(),
  agentSlug: z.string().nullish(),
  slug: plainText(255)
    .nullish()
    .transform((slug) => (slug ? slugOf(slug, { lower: false }) : null)),
  name: plainText(500).nullish(),
  projectId: databaseId.nullish(),
  ...modelOverrides,
});

/** Returns an agent for a chat. Throws NOT_FOUND for an agent that was deleted or that the principal cannot see. */
export async function usableAgent(
  transaction: Prisma.TransactionClient,
  principal: Principal,
  id: number,
): Promise<Agent> {
  const agent = await transaction.agent.findFirst({ where: { AND: [visible.usableAgents(principal), { id }] } });
  if (!agent) throw notFound('AGENT_NOT_FOUND');
  return agent;
}

/**
 * Creates a session of the principal; for a project token, always in its project. Throws NOT_FOUND for an agent that
 * the principal cannot see and for a project of another user, CONFLICT for a slug that is in use, BAD_USER_INPUT for an
 * unknown model. `prompts` override those of the agent, and `at` is the path of the session within the input.
 */
export async function startSession(
  { transaction, models }: { transaction: Prisma.TransactionClient; models: ChatModels },
  principal: Principal,
  { agentId, agentSlug, slug, name, projectId, model, ...settings }: z.output<typeof NewSession>,
  { prompts, at = ['input'] }: { prompts?: Pick<ChatSession, 'systemPrompt' | 'taskPrompt'>; at?: string[] } = {},
): Promise<{ session: ChatSession; agent: Agent }> {
  const modelId = model == null ? null : chosenModel(models, model, at).modelId;
  if (agentId != null && agentSlug != null) throw badInput([...at, 'agentSlug'], 'cannot be combined with `agentId`');
  const agent =
    agentSlug == null
      ? await usableAgent(transaction, principal, agentId ?? 0)
      : await agentBySlug(transaction, principal, agentSlug);
  const project = await projectForSession(transaction, principal, projectId);
  const session = await createSession(transaction, {
    userId: principal.userId,
    agentId: agent.id,
    slug,
    projectId: project?.id ?? null,
    name: name ?? null,
    model: modelId,
    temperature: settings.temperature ?? null,
    reasoningEffort: settings.reasoningEffort ?? null,
    ...prompts,
  }).catch((error: unknown) => {
    if (error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2002')
      throw conflict('SLUG_TAKEN', 'This slug is already in use.');
    throw error;
  });
  return { session, agent };
}
