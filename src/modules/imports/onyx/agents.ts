import type { Prisma } from '../../../generated/prisma/client.ts';
import { actionIds, freeAgentName, type Importing } from '../importing.ts';
import { oneLine } from '../report.ts';
import { cutTo } from '../text.ts';
import { type OnyxClient, orReport, Refused } from './client.ts';
import { importFiles } from './files.ts';
import { Agent, AgentRef, nameOf } from './shapes.ts';

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
  const permissions = new Map(agent.users.map(({ email }) => [email.toLowerCase(), 'VIEWER' as 'VIEWER' | 'EDITOR']));
  for (const { email, permission } of agent.user_shares)
    if (email) permissions.set(email.toLowerCase(), permission === 'EDITOR' ? 'EDITOR' : 'VIEWER');
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

/** Maximum length of an agent's texts in UTF-16 units. */
const longest = { description: 2000, prompt: 100_000, starterName: 200, starterMessage: 2000 };
/** Maximum number of starter messages of an agent. */
const maxStarters = 50;

/** Reports the parts of an agent that differ or are missing after the import. */
function tellOfLosses({ report }: Importing, agent: Agent, name: string): void {
  const cut = (what: string, text: string | null, max: number) => {
    if ((text?.length ?? 0) > max) report.changed(`agent ${name}`, `was imported with a truncated ${what}`);
  };
  cut('description', agent.description, longest.description);
  cut('system prompt', agent.system_prompt, longest.prompt);
  cut('task prompt', agent.task_prompt, longest.prompt);
  const starters = agent.starter_messages;
  const long = starters.filter(
    (starter) => starter.name.length > longest.starterName || starter.message.length > longest.starterMessage,
  );
  if (long.length > 0) report.changed(`agent ${name}`, `was imported with ${long.length} truncated starter messages`);
  if (starters.length > maxStarters)
    report.leave(`${starters.length - maxStarters} starter messages of agent ${name}`, `it has ${maxStarters}`);

  const sets = agent.document_sets.map((set) => oneLine(set.name));
  if (sets.length > 0)
    report.leave(
      `document sets of agent ${name}`,
      `the source does not return their documents (${sets.join(', ')}): attach other documents`,
    );
  const left = (what: string, number: number, reason: string) => {
    if (number > 0) report.leave(`${number} ${what} agent ${name}`, reason);
  };
  left(
    'documents of',
    agent.attached_documents.length,
    'the source does not return their text: attach other documents',
  );
  left('folders of', agent.hierarchy_nodes.length, 'the source does not return their content: attach other documents');
  const groups = Math.max(agent.groups.length, agent.group_shares.length);
  left('groups that may use', groups, 'are not imported: share the agent with people here');
  if (agent.uploaded_image_id !== null) report.leave(`image of agent ${name}`, 'is not returned by the source');
}

/** The agent searched selected documents, which are not imported: it must not search all documents instead. */
const searchesChosen = (agent: Agent): boolean =>
  agent.document_sets.length + agent.attached_documents.length + agent.hierarchy_nodes.length > 0;

/**
 * Imports the agents that the key can see. Built-in ones correspond to this server's built-in agent. Returns the source
 * IDs of those that failed and may be imported by the next run.
 */
export async function importAgents(importing: Importing, client: OnyxClient): Promise<ReadonlySet<number>> {
  const { services, operator, ledger, report, dryRun } = importing;

  async function create(transaction: Transaction, agent: Agent, wanted: string, fileIds: string[]): Promise<string> {
    const ownerId = operator.userId;
    const name = await freeAgentName(transaction, ownerId, wanted);
    if (name !== wanted) report.changed(`agent ${wanted}`, `was renamed to ${name} because another agent has its name`);
    const model = agent.llm_model_version_override ? services.models.find(agent.llm_model_version_override) : null;
    if (agent.llm_model_version_override && !model)
      report.leave(
        `model ${oneLine(agent.llm_model_version_override)} of agent ${name}`,
        'is not available on this server',
      );
    tellOfLosses(importing, agent, name);
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

  /**
   * Returns true when the agent was imported or can never be; throws OnyxResponseError or returns false when the next
   * run may import it.
   */
  async function bringOne(id: number, called: string): Promise<boolean> {
    const { data: agent } = Agent.safeParse(await client.read(`/persona/${id}`));
    const wanted = nameOf(agent?.name ?? null, 255);
    if (!agent || wanted === null) {
      report.leave(called, agent ? 'has no name' : 'cannot be read');
      return true;
    }
    const files = dryRun ? [] : agent.user_file_ids.map((file) => ({ id: file, name: null }));
    const fileIds = await importFiles(importing, client, files);
    const target = await ledger.bring('agent', {
      id,
      name: wanted,
      work: (transaction) => create(transaction, agent, wanted, fileIds),
    });
    return target !== null;
  }

  const listed = await client.read('/persona');
  if (!Array.isArray(listed)) throw new Refused('/persona', 200, 'does not list agents');
  const failed = new Set<number>();
  for (const [index, entry] of listed.entries()) {
    ledger.step('agent', listed.length);
    const { data: ref } = AgentRef.safeParse(entry);
    if (!ref) {
      report.leave(`agent number ${index + 1}`, 'does not have the form of an agent');
      continue;
    }
    if (ref.builtin_persona || ref.id <= 0) continue;
    if (ledger.targetOf('agent', ref.id) !== undefined) {
      report.known('agent');
      continue;
    }
    const called = `agent ${ref.name || ref.id}`;
    if (!(await orReport(report, called, () => bringOne(ref.id, called)))) failed.add(ref.id);
  }
  return failed;
}
