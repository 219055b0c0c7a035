import type { Prisma } from '../../../generated/prisma/client.ts';
import { comparable } from '../../../text/normalize.ts';
import { actionIds, freeAgentName, type Importing } from '../importing.ts';
import { oneLine } from '../report.ts';
import { cutTo } from '../text.ts';
import { longest, maxStarters, reportLosses } from './agent-losses.ts';
import { type Agent, nameOf } from './shapes.ts';

type Transaction = Prisma.TransactionClient;

/** Returns the agent's tools that exist here, by their names in the source. */
async function actionsOf(
  transaction: Transaction,
  { report }: Importing,
  agent: Agent,
  name: string,
): Promise<number[]> {
  const ids = new Set<number>();
  for (const { name: tool, in_code_tool_id: key, display_name: shown } of agent.tools) {
    const found = await actionIds(transaction, key ? [key] : [tool]);
    for (const id of found) ids.add(id);
    if (found.length === 0) report.leave(`tool ${oneLine(shown ?? tool)} of agent ${name}`, 'does not exist here');
  }
  return [...ids];
}

/** Returns the people that the agent is shared with, as far as they have accounts here. */
async function sharesOf(transaction: Transaction, { operator, report }: Importing, agent: Agent, name: string) {
  const permissions = new Map(agent.users.map(({ email }) => [comparable(email), 'VIEWER' as 'VIEWER' | 'EDITOR']));
  for (const { email, permission } of agent.user_shares)
    if (email) permissions.set(comparable(email), permission === 'EDITOR' ? 'EDITOR' : 'VIEWER');
  if (permissions.size === 0) return [];
  const users = await transaction.user.findMany({
    where: { email: { in: [...permissions.keys()] }, id: { not: operator.userId } },
    select: { id: true, email: true },
  });
  const missing = permissions.size - users.length;
  if (missing > 0)
    report.leave(`${missing} people that agent ${name} is shared with`, 'have no account on this server');
  return users.map(({ id, email }) => ({ userId: id, permission: permissions.get(email) ?? 'VIEWER' }));
}

/** The agent searched selected documents, which are not imported: it must not search all documents instead. */
const searchesChosen = (agent: Agent): boolean =>
  agent.document_sets.length + agent.attached_documents.length + agent.hierarchy_nodes.length > 0;

/**
 * Creates an agent with the operator as its owner, under a free name, and returns its ID. Reports the parts that differ
 * or are missing. `fileIds` are IDs on this server.
 */
export async function createAgent(
  transaction: Transaction,
  importing: Importing,
  agent: Agent,
  { wanted, fileIds }: { wanted: string; fileIds: readonly string[] },
): Promise<string> {
  const { services, operator, report } = importing;
  const ownerId = operator.userId;
  const name = await freeAgentName(transaction, ownerId, wanted);
  if (name !== wanted) report.changed(`agent ${wanted}`, `was renamed to ${name} because another agent has its name`);
  const model = agent.llm_model_version_override ? services.models.find(agent.llm_model_version_override) : null;
  if (agent.llm_model_version_override && !model)
    report.leave(
      `model ${oneLine(agent.llm_model_version_override)} of agent ${name}`,
      'is not available on this server',
    );
  reportLosses(importing, agent, name);
  const labels = [...new Set(agent.labels.map((label) => cutTo(label.name, 100).trim()).filter(Boolean))];
  const made = await transaction.agent.create({
    data: {
      name,
      description: cutTo(agent.description ?? '', longest.description),
      systemPrompt: cutTo(agent.system_prompt ?? '', longest.prompt),
      taskPrompt: cutTo(agent.task_prompt ?? '', longest.prompt),
      replaceBaseSystemPrompt: agent.replace_base_system_prompt ?? false,
      datetimeAware: agent.datetime_aware ?? true,
      isPublic: agent.is_public ?? false,
      isListed: agent.is_listed ?? agent.is_visible ?? true,
      isFeatured: agent.is_featured ?? agent.is_default_persona ?? false,
      displayPriority:
        agent.display_priority !== null && Math.abs(agent.display_priority) < 2 ** 31 ? agent.display_priority : null,
      iconName: nameOf(agent.icon_name, 100),
      searchStartDate: agent.search_start_date,
      model: model?.modelId ?? null,
      knowledge: searchesChosen(agent) ? 'ATTACHED' : 'ALL',
      owner: { connect: { id: ownerId } },
      starterMessages: {
        create: agent.starter_messages.slice(0, maxStarters).map((starter, position) => ({
          position,
          name: cutTo(starter.name, longest.starterName),
          message: cutTo(starter.message, longest.starterMessage),
        })),
      },
      labels: { connectOrCreate: labels.map((label) => ({ where: { name: label }, create: { name: label } })) },
      actions: { connect: (await actionsOf(transaction, importing, agent, name)).map((id) => ({ id })) },
      files: { connect: fileIds.map((id) => ({ id })) },
      shares: { create: await sharesOf(transaction, importing, agent, name) },
    },
  });
  return String(made.id);
}
