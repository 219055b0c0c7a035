import type { ChatModels } from '../../ai/providers.ts';
import { can, type Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, conflict, forbidden } from '../../errors.ts';
import type { Agent, Prisma } from '../../generated/prisma/client.ts';
import { searchForm } from '../../text/normalize.ts';
import { chosenModel } from '../chat/overrides.ts';
import type { AgentChanges } from './agent-input.ts';

/** Maximum number of agents of one user. */
const maxAgents = 1000;

type Count = () => Promise<number>;

/** Returns the objects that an input refers to: the field, their IDs, and how many of them exist for the principal. */
function references(
  transaction: Prisma.TransactionClient,
  principal: Principal,
  input: AgentChanges,
  agentId?: number,
): [field: keyof AgentChanges, ids: readonly unknown[] | undefined, count: Count][] {
  const { labelIds = [], actionIds = [], builtinActions = [], userIds = [], documentIds = [], fileIds = [] } = input;
  // A deactivated user keeps the agent when the owner sends the complete list back. The service account of a widget has
  // a share too, but is not in that list.
  const sharing = agentId === undefined ? [] : [{ agentShares: { some: { agentId } }, embed: null }];
  // Users of the agent can read its files, so only their owner can add them. An editor leaves the files of others in
  // place.
  const given = agentId === undefined ? [] : [{ agents: { some: { id: agentId } } }];
  const users = { id: { in: userIds }, OR: [visible.directory(), ...sharing] };
  const documents = { AND: [visible.documents(principal), { externalId: { in: documentIds } }] };
  const files = { id: { in: fileIds }, OR: [visible.ownFiles(principal), ...given] };
  return [
    ['labelIds', input.labelIds, () => transaction.label.count({ where: { id: { in: labelIds } } })],
    ['actionIds', input.actionIds, () => transaction.action.count({ where: { id: { in: actionIds } } })],
    [
      'builtinActions',
      input.builtinActions,
      () => transaction.action.count({ where: { builtinKey: { in: builtinActions } } }),
    ],
    ['userIds', input.userIds, () => transaction.user.count({ where: users })],
    ['documentIds', input.documentIds, () => transaction.document.count({ where: documents })],
    ['fileIds', input.fileIds, () => transaction.file.count({ where: files })],
  ];
}

/** Checks that every object in an input exists and can be used. Throws BAD_USER_INPUT naming the field. */
export async function checkReferences(
  transaction: Prisma.TransactionClient,
  principal: Principal,
  input: AgentChanges,
  agentId?: number,
): Promise<void> {
  for (const [field, ids, count] of references(transaction, principal, input, agentId))
    if (ids?.length && (await count()) < new Set(ids).size)
      throw badInput(['input', field], 'contains objects that do not exist', 'MISSING_OBJECTS');
}

/** Two agents of one owner have different names, regardless of case, width and accents. */
function checkNameAmong(names: readonly string[], name: string): void {
  const form = searchForm(name);
  if (!names.some((other) => searchForm(other) === form)) return;
  throw conflict('AGENT_NAME_TAKEN', `An agent with the name '${name}' already exists. Choose another name.`, { name });
}

/** Requires that a changed agent has a name that no other agent of its owner has. */
export async function checkName(
  transaction: Prisma.TransactionClient,
  ownerId: string | null,
  name: string,
  exceptId?: number,
) {
  if (ownerId === null) return;
  // The lock on the owner's row orders two concurrent creations with the same name.
  await transaction.$queryRaw`SELECT 1 FROM "User" WHERE "id" = ${ownerId}::uuid FOR UPDATE`;
  const others = await transaction.agent.findMany({
    where: { ownerId, deletedAt: null, ...(exceptId !== undefined && { id: { not: exceptId } }) },
    select: { name: true },
  });
  checkNameAmong(
    others.map((other) => other.name),
    name,
  );
}

/**
 * Requires that a user can have another agent with a name. Throws CONFLICT when the user has the maximum number of
 * agents, which is limited because lists without pagination return all agents, and when one of them has the name. A
 * null name is not checked.
 */
export async function checkNewAgent(
  transaction: Prisma.TransactionClient,
  ownerId: string,
  name: string | null,
): Promise<void> {
  await transaction.$queryRaw`SELECT 1 FROM "User" WHERE "id" = ${ownerId}::uuid FOR UPDATE`;
  // A separate statement, so that it sees the changes of the previous holder of the lock.
  const agents = await transaction.$queryRaw<{ name: string }[]>`
    SELECT "name" FROM "Agent" WHERE "ownerId" = ${ownerId}::uuid AND "deletedAt" IS NULL`;
  if (agents.length >= maxAgents) throw conflict('TOO_MANY_AGENTS', `Too many agents (limit per user: ${maxAgents}).`);
  if (name !== null)
    checkNameAmong(
      agents.map((agent) => agent.name),
      name,
    );
}

/** Throws FORBIDDEN when an input features an agent, or changes its position, without `manage:agents`. */
export function checkFeature(principal: Principal, input: AgentChanges, before?: Agent) {
  const changes =
    (input.isFeatured ?? before?.isFeatured ?? false) !== (before?.isFeatured ?? false) ||
    (input.displayPriority !== undefined && input.displayPriority !== (before?.displayPriority ?? null));
  if (changes && !can(principal, 'manage:agents'))
    throw forbidden(
      ['manage:agents'],
      'Only callers with `manage:agents` can make an agent featured.',
      'AGENT_FEATURE_DENIED',
    );
}

/** Returns the columns of an input. Throws BAD_USER_INPUT for a model that is not configured. */
export function columns(
  models: ChatModels,
  {
    starterMessages,
    labelIds,
    actionIds,
    builtinActions,
    documentIds,
    fileIds,
    userIds,
    allowSameName,
    model,
    modelIfAvailable,
    ...rest
  }: AgentChanges,
) {
  const name = model === undefined ? modelIfAvailable : model;
  if (name === undefined) return rest;
  if (name === null) return { ...rest, model: null };
  const found = model == null ? models.find(name) : chosenModel(models, name);
  return { ...rest, model: found?.modelId ?? null };
}

/** Returns the actions of an input, by ID and by key, or undefined when it has none. */
export const actionsOf = ({ actionIds, builtinActions }: AgentChanges): Prisma.ActionWhereUniqueInput[] | undefined =>
  actionIds || builtinActions
    ? [...(actionIds ?? []).map((id) => ({ id })), ...(builtinActions ?? []).map((builtinKey) => ({ builtinKey }))]
    : undefined;
