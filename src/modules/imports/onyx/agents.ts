import type { Prisma } from '../../../generated/prisma/client.ts';
import { actionIds, freeAgentName, type Importing } from '../importing.ts';
import { Unfit } from '../ledger.ts';
import { oneLine } from '../report.ts';
import { cutTo } from '../text.ts';
import { type OnyxClient, orReport } from './client.ts';
import { importFiles } from './files.ts';
import { Agent, AgentRef, nameOf } from './shapes.ts';

type Transaction = Prisma.TransactionClient;

/** Tools of the agent that are here, by their names there. */
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

/** Those that the agent is shared with, as far as they have accounts here. */
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
  if (missing > 0) report.leave(`${missing} people that agent ${name} is shared with`, 'have no account here');
  return users.map(({ id, email }) => ({ userId: id, permission: permissions.get(email) ?? 'VIEWER' }));
}

/** Brings the agents that the key sees. The built-in ones are this server's own built-in one. */
export async function importAgents(importing: Importing, client: OnyxClient): Promise<void> {
  const { services, operator, ledger, report, dryRun } = importing;

  async function create(transaction: Transaction, agent: Agent, fileIds: string[]): Promise<string> {
    const ownerId = operator.userId;
    const wanted = nameOf(agent.name, 255);
    if (wanted === null) throw new Unfit('has no name');
    const name = await freeAgentName(transaction, ownerId, wanted);
    if (name !== wanted) report.changed(`agent ${wanted}`, `is called ${name}, since another agent has its name`);
    const model = agent.llm_model_version_override ? services.models.find(agent.llm_model_version_override) : null;
    if (agent.llm_model_version_override && !model)
      report.leave(
        `model ${oneLine(agent.llm_model_version_override)} of agent ${name}`,
        'is not one of this server’s',
      );
    const sets = agent.document_sets.map((set) => oneLine(set.name));
    if (sets.length > 0)
      report.leave(
        `document sets of agent ${name}`,
        `their documents are not given (${sets.join(', ')}): attach others`,
      );
    if (agent.attached_documents.length > 0)
      report.leave(
        `${agent.attached_documents.length} documents of agent ${name}`,
        'their text is not given: attach others',
      );
    const chosen = sets.length + agent.attached_documents.length > 0;
    const labels = [...new Set(agent.labels.map((label) => cutTo(label.name, 100).trim()).filter(Boolean))];
    const made = await transaction.agent.create({
      data: {
        name,
        description: cutTo(agent.description ?? '', 2000),
        systemPrompt: cutTo(agent.system_prompt ?? '', 100_000),
        taskPrompt: cutTo(agent.task_prompt ?? '', 100_000),
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
        // Of what it was to search nothing came along: it must not search everything instead.
        knowledge: chosen ? 'ATTACHED' : 'ALL',
        owner: { connect: { id: ownerId } },
        starterMessages: {
          create: agent.starter_messages.slice(0, 50).map((starter, position) => ({
            position,
            name: cutTo(starter.name, 200),
            message: cutTo(starter.message, 2000),
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

  async function bringOne({ id, name }: { id: number; name: string | null }, entry: unknown): Promise<void> {
    const whole = Agent.safeParse((await client.readIfThere(`/persona/${id}`)) ?? entry);
    const agent = whole.success ? whole.data : null;
    const files = agent && !dryRun ? agent.user_file_ids.map((file) => ({ id: file, name: null })) : [];
    const fileIds = await importFiles(importing, client, files);
    await ledger.bring('agent', id, name || String(id), async (transaction) => {
      if (!agent) throw new Unfit('cannot be read');
      return create(transaction, agent, fileIds);
    });
  }

  const listed = await client.read('/persona');
  const agents = Array.isArray(listed) ? listed : [];
  for (const [index, entry] of agents.entries()) {
    ledger.step('agent', agents.length);
    const ref = AgentRef.safeParse(entry);
    if (!ref.success) {
      report.leave(`agent number ${index + 1}`, 'is not described as an agent');
      continue;
    }
    if (ref.data.builtin_persona || ref.data.id <= 0) continue;
    if (ledger.targetOf('agent', ref.data.id) !== undefined) {
      report.known('agent');
      continue;
    }
    await orReport(report, `agent ${ref.data.name || ref.data.id}`, () => bringOne(ref.data, entry));
  }
}
