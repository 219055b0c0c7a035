import { randomInt } from 'node:crypto';
import { z } from 'zod';
import type { ChatModels } from '../../ai/providers.ts';
import { can, type Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, conflict, denied, forbidden, notFound, parse } from '../../errors.ts';
import { type Agent, Prisma } from '../../generated/prisma/client.ts';
import { cut, ListOrder, type PageArgs, type PageRequest } from '../../paging.ts';
import { slugOf } from '../../slug.ts';
import type { Database } from '../../store/database.ts';
import { searchForm } from '../../text/normalize.ts';
import { blank, databaseId, plainText } from '../../zod-types.ts';
import { type Changes, changesOf, clearList } from '../changes.ts';
import { chosenModel } from '../chat/overrides.ts';
import { readPreferences } from '../settings/settings.service.ts';
import { lockUser } from '../users/users.service.ts';
import { type AgentKey, agentAt, agentToChange } from './by-slug.ts';

const StarterMessage = z.object({ name: plainText(200), message: plainText(2000) });

const fields = {
  name: plainText(255).refine((name) => name.trim() !== '', blank),
  description: plainText(2000),
  systemPrompt: plainText(100_000),
  taskPrompt: plainText(100_000),
  replaceBaseSystemPrompt: z.boolean(),
  datetimeAware: z.boolean(),
  isPublic: z.boolean(),
  isFeatured: z.boolean(),
  displayPriority: databaseId,
  iconName: plainText(100),
  knowledge: z.enum(['ALL', 'ATTACHED']),
  searchStartDate: z.date(),
  passageLimit: z.number().int().min(1).max(100),
  similarityThreshold: z.number().min(0).max(1),
  model: plainText(200),
  modelIfAvailable: plainText(200),
  temperature: z.number().min(0).max(2),
  historyLimit: z.number().int().min(0).max(1000),
  chatMode: z.enum(['AUTOMATIC', 'CHAT', 'QUERY']),
  refusalText: plainText(2000),
  starterMessages: z.array(StarterMessage).max(50),
  labelIds: z.array(databaseId).max(100),
  actionIds: z.array(databaseId).max(100),
  builtinActions: z.array(plainText(100)).max(100),
  documentIds: z.array(plainText(500)).max(1000),
  fileIds: z.array(z.uuid()).max(100),
  userIds: z.array(z.uuid()).max(1000),
  allowSameName: z.boolean(),
};
type Fields = typeof fields;
const optionalFields = Object.fromEntries(Object.entries(fields).map(([name, type]) => [name, type.nullish()])) as {
  [Name in keyof Fields]: z.ZodOptional<z.ZodNullable<Fields[Name]>>;
};
const UpdateAgent = z.object({
  ...optionalFields,
  clear: clearList([
    'displayPriority',
    'iconName',
    'searchStartDate',
    'model',
    'temperature',
    'historyLimit',
    'refusalText',
  ]),
});
const CreateAgent = z.object({
  ...optionalFields,
  name: fields.name,
  usualPrompt: fields.systemPrompt.nullish(),
});
const Shares = z.array(z.object({ userId: z.uuid(), permission: z.enum(['VIEWER', 'EDITOR']).nullish() })).max(1000);
const ShareAgent = z.object({
  shares: Shares.nullish(),
  isPublic: z.boolean().nullish(),
  labelIds: fields.labelIds.nullish(),
});
const CurateAgent = z.object({
  isListed: z.boolean().nullish(),
  isFeatured: z.boolean().nullish(),
  displayPriority: databaseId.nullish(),
  clear: clearList(['displayPriority']),
});

export type CreateAgentInput = z.input<typeof CreateAgent>;
export type UpdateAgentInput = z.input<typeof UpdateAgent>;
export type ShareAgentInput = z.input<typeof ShareAgent>;
export type CurateAgentInput = z.input<typeof CurateAgent>;
export type AgentShareInput = z.input<typeof Shares>[number];
type AgentChanges = Changes<z.output<typeof UpdateAgent>>;

export type AgentPermission = 'OWNER' | 'EDITOR' | 'VIEWER';

export interface AgentFilter {
  includeDeleted?: boolean | null | undefined;
  /** Selects agents that the caller can edit. */
  editable?: boolean | null | undefined;
  /** Includes the built-in agent. Defaults to true. */
  includeBuiltin?: boolean | null | undefined;
  databaseIds?: readonly number[] | null | undefined;
}

/** Maximum number of agents of one user. */
const maxAgents = 1000;

export const agentOrder = new ListOrder('agents', [
  { field: 'displayPriority', type: 'int', direction: 'asc', nullable: true },
  { field: 'id', type: 'int', direction: 'asc' },
]);
/** The order of the agents of a document. */
export const agentsById = new ListOrder('documentAgents', [{ field: 'id', type: 'int', direction: 'asc' }]);
export const agentShareOrder = new ListOrder('agentShares', [{ field: 'userId', type: 'uuid', direction: 'asc' }]);
export const labelOrder = new ListOrder('labels', [{ field: 'id', type: 'int', direction: 'asc' }]);

/** The range of the random digits that follow a slug in use. */
const digits = [10_000_000, 100_000_000] as const;
/** Maximum attempts to find an unused slug. One collision is likely, three are not. */
const maxTries = 3;

const slugTaken = (error: unknown): boolean =>
  error instanceof Prisma.PrismaClientKnownRequestError &&
  error.code === 'P2002' &&
  // PostgreSQL reports the index, the embedded database the column.
  /\bslug\b|_slug_/.test(JSON.stringify(error.meta));

/** Stores an agent under a slug or, if another agent has it, under the slug with 8 digits. */
async function underSlug(slug: string, store: (slug: string) => Promise<Agent>): Promise<Agent> {
  for (let tries = 1; ; tries++)
    try {
      return await store(tries === 1 ? slug : `${slug}-${randomInt(...digits)}`);
    } catch (error) {
      if (tries === maxTries || !slugTaken(error)) throw error;
    }
}

export function createAgentsService(db: Database, models: ChatModels) {
  /** Checks that every object in an input exists and can be used. Throws BAD_USER_INPUT naming the field. */
  async function checkReferences(
    transaction: Prisma.TransactionClient,
    principal: Principal,
    input: AgentChanges,
    agentId?: number,
  ) {
    const { labelIds, actionIds, builtinActions, userIds, documentIds, fileIds } = input;
    const all = async (
      wanted: readonly unknown[] | undefined,
      count: () => Promise<number>,
      field: string,
      message: string,
    ) => {
      if (wanted?.length && (await count()) < new Set(wanted).size) throw badInput(['input', field], message);
    };
    await all(
      labelIds,
      () => transaction.label.count({ where: { id: { in: labelIds ?? [] } } }),
      'labelIds',
      'Some label IDs were not found in the database',
    );
    await all(
      actionIds,
      () => transaction.action.count({ where: { id: { in: actionIds ?? [] } } }),
      'actionIds',
      'Tools not found',
    );
    await all(
      builtinActions,
      () => transaction.action.count({ where: { builtinKey: { in: builtinActions ?? [] } } }),
      'builtinActions',
      'Tools not found',
    );
    await all(
      userIds,
      () =>
        transaction.user.count({
          where: {
            id: { in: userIds ?? [] },
            // A deactivated user keeps the agent when the owner sends the complete list back. The service account of a
            // widget has a share too, but is not in that list.
            OR: [
              visible.directory(),
              ...(agentId === undefined ? [] : [{ agentShares: { some: { agentId } }, embed: null }]),
            ],
          },
        }),
      'userIds',
      'Some users were not found',
    );
    await all(
      documentIds,
      () =>
        transaction.document.count({
          where: { AND: [visible.documents(principal), { externalId: { in: documentIds ?? [] } }] },
        }),
      'documentIds',
      'Some documents were not found',
    );
    // Users of the agent can read its files, so only their owner can add them. An editor leaves the files of others in
    // place.
    const given = agentId === undefined ? [] : [{ agents: { some: { id: agentId } } }];
    await all(
      fileIds,
      () =>
        transaction.file.count({
          where: { id: { in: fileIds ?? [] }, OR: [visible.ownFiles(principal), ...given] },
        }),
      'fileIds',
      'user_files not found',
    );
  }

  /** Requires that two agents of one owner have different names. */
  async function checkName(
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
    if (others.some((other) => searchForm(other.name) === searchForm(name)))
      throw conflict('AGENT_NAME_TAKEN', `An agent with the name '${name}' already exists. Choose another name.`, {
        name,
      });
  }

  /**
   * Throws CONFLICT when a user has the maximum number of agents. The number is limited because lists without
   * pagination return all agents.
   */
  async function checkCount(transaction: Prisma.TransactionClient, ownerId: string): Promise<void> {
    await lockUser(transaction, ownerId);
    if ((await transaction.agent.count({ where: { ownerId, deletedAt: null } })) >= maxAgents)
      throw conflict('TOO_MANY_AGENTS', `Too many agents (limit per user: ${maxAgents}).`);
  }

  function checkFeature(principal: Principal, input: AgentChanges, before?: Agent) {
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
  function columns({
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
  }: AgentChanges) {
    const name = model === undefined ? modelIfAvailable : model;
    if (name === undefined) return rest;
    if (name === null) return { ...rest, model: null };
    const found = model == null ? models.find(name) : chosenModel(models, name);
    return { ...rest, model: found?.modelId ?? null };
  }

  /** Returns the actions of an input, by ID and by key, or undefined when it has none. */
  const actionsOf = ({ actionIds, builtinActions }: AgentChanges): Prisma.ActionWhereUniqueInput[] | undefined =>
    actionIds || builtinActions
      ? [...(actionIds ?? []).map((id) => ({ id })), ...(builtinActions ?? []).map((builtinKey) => ({ builtinKey }))]
      : undefined;

  return {
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
              ...columns(data),
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
            ...columns(data),
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

    /** Replaces the given ones of: the people that an agent is shared with, its labels, whether it is public. */
    async share(principal: Principal, key: AgentKey, input: ShareAgentInput): Promise<Agent> {
      const { shares, isPublic, labelIds } = changesOf(parse(ShareAgent, input));
      return db.prisma.$transaction(async (transaction) => {
        const { id } = await agentToChange(transaction, principal, key, visible.ownedAgents(principal));
        const references = {
          ...(shares && { userIds: shares.map((share) => share.userId) }),
          ...(labelIds && { labelIds }),
        };
        await checkReferences(transaction, principal, references, id);
        if (shares) await setShares(transaction, id, shares);
        return transaction.agent.update({
          where: { id },
          data: {
            ...(isPublic !== undefined && { isPublic }),
            ...(labelIds && { labels: { set: labelIds.map((labelId) => ({ id: labelId })) } }),
          },
        });
      });
    },

    /** Soft-deletes an agent and releases its slug. Its chats remain readable. */
    async delete(principal: Principal, key: AgentKey): Promise<Agent> {
      const agent = await agentToChange(db.prisma, principal, key, visible.ownedAgents(principal));
      if (agent.isBuiltin) throw denied('AGENT_BUILT_IN', 'A built-in agent cannot be deleted.');
      const { id } = agent;
      const mark = `-deleted-${id}`;
      return underSlug(agent.slug.endsWith(mark) ? agent.slug : `${agent.slug}${mark}`, (slug) =>
        db.prisma.agent.update({ where: { id, deletedAt: null }, data: { deletedAt: new Date(), slug } }),
      );
    },

    /**
     * Restores an agent; it keeps the slug that deletion gave it. Throws CONFLICT when its owner has another agent with
     * the name.
     */
    async undelete(key: AgentKey): Promise<Agent> {
      return db.prisma.$transaction(async (transaction) => {
        const agent = await transaction.agent.findFirst({ where: { ...agentAt(key), deletedAt: { not: null } } });
        if (!agent) throw notFound('DELETED_AGENT_NOT_FOUND');
        const { id } = agent;
        await checkName(transaction, agent.ownerId, agent.name, id);
        return transaction.agent.update({ where: { id }, data: { deletedAt: null } });
      });
    },

    /**
     * Sets what only administrators can change: whether lists contain the agent, whether it is featured, and its
     * position.
     */
    async curate(key: AgentKey, input: CurateAgentInput): Promise<Agent> {
      const data = changesOf(parse(CurateAgent, input));
      const where = { ...agentAt(key), deletedAt: null };
      const [agent] = await db.prisma.agent.updateManyAndReturn({ where, data });
      if (!agent) throw notFound('AGENT_NOT_FOUND');
      return agent;
    },

    /**
     * Returns an agent. Deleted agents are found with `manage:agents` only, and not by slug, which was released. Throws
     * NOT_FOUND.
     */
    async find(principal: Principal, key: AgentKey, query: object = {}): Promise<Agent> {
      const deleted = typeof key === 'number' && can(principal, 'manage:agents');
      const agent = await db.prisma.agent.findFirst({
        ...query,
        where: { AND: [visible.agents(principal), agentAt(key), deleted ? {} : { deletedAt: null }] },
      });
      if (!agent) throw notFound('AGENT_NOT_FOUND');
      return agent;
    },

    async list(principal: Principal, filter: AgentFilter, { args, limit, query }: PageRequest) {
      const page = agentOrder.page(args, limit);
      const rows = await db.prisma.agent.findMany({
        ...query,
        ...page,
        where: { AND: [listed(principal, filter), page.where] },
      });
      return cut(rows, page);
    },

    count: (principal: Principal, filter: AgentFilter) => db.prisma.agent.count({ where: listed(principal, filter) }),

    async listLabels(args: PageArgs, limit: number, query: object) {
      const page = labelOrder.page(args, limit);
      return cut(await db.prisma.label.findMany({ ...query, ...page }), page);
    },

    countLabels: () => db.prisma.label.count(),

    async createLabel(input: { name: string }) {
      const { name } = parse(z.object({ name: plainText(100).trim().min(1) }), input);
      const labels = await db.prisma.label.findMany({ select: { name: true } });
      const taken = labels.some((label) => searchForm(label.name) === searchForm(name));
      const { count } = taken
        ? { count: 0 }
        : await db.prisma.label.createMany({ data: [{ name }], skipDuplicates: true });
      if (count === 0) throw conflict('LABEL_NAME_TAKEN', `A label with the name '${name}' already exists.`, { name });
      return db.prisma.label.findUniqueOrThrow({ where: { name } });
    },
  };
}

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

/**
 * Replaces the shares of an agent. A person without a new permission keeps the current one; a new person becomes a
 * viewer. The service accounts of chat widgets keep theirs.
 */
export async function setShares(transaction: Prisma.TransactionClient, agentId: number, shares: AgentShareInput[]) {
  const before = await transaction.agentShare.findMany({ where: { agentId } });
  const held = new Map(before.map(({ userId, permission }) => [userId, permission]));
  await transaction.agentShare.deleteMany({ where: { agentId, user: { embed: null } } });
  await transaction.agentShare.createMany({
    data: shares.map(({ userId, permission }) => ({
      agentId,
      userId,
      permission: permission ?? held.get(userId.toLowerCase()) ?? 'VIEWER',
    })),
    skipDuplicates: true,
  });
}

/** An operation on an agent. */
export type AgentOperation = 'EDIT' | 'SHARE' | 'DELETE' | 'CURATE';

/** Returns the permission of a principal for an agent. `share` is the principal's share, if any. */
export function agentPermission(
  principal: Principal,
  { ownerId }: Pick<Agent, 'ownerId'>,
  share: AgentPermission | undefined,
): AgentPermission {
  return can(principal, 'manage:agents') || ownerId === principal.userId ? 'OWNER' : (share ?? 'VIEWER');
}

/**
 * Returns the operations that a credential can perform on an agent: the rules of `visible` and the permission of each
 * mutation.
 */
export function agentOperations(
  principal: Principal,
  agent: Pick<Agent, 'ownerId' | 'isBuiltin' | 'deletedAt'>,
  share: AgentPermission | undefined,
): AgentOperation[] {
  if (agent.deletedAt) return [];
  const manages = can(principal, 'manage:agents');
  const held = agent.isBuiltin && !manages ? 'VIEWER' : agentPermission(principal, agent, share);
  const writes = can(principal, 'write:agents');
  return [
    ...(writes && held !== 'VIEWER' ? (['EDIT'] as const) : []),
    ...(writes && held === 'OWNER' ? (['SHARE'] as const) : []),
    ...(writes && held === 'OWNER' && !agent.isBuiltin ? (['DELETE'] as const) : []),
    ...(manages ? (['CURATE'] as const) : []),
  ];
}

/**
 * Selects the agents of a list: visible ones, without unlisted agents of others and, by default, without deleted ones.
 */
function listed(principal: Principal, filter: AgentFilter): Prisma.AgentWhereInput {
  const all = can(principal, 'manage:agents');
  return {
    AND: [
      filter.editable ? visible.editableAgents(principal) : visible.agents(principal),
      all || filter.editable ? {} : { OR: [{ isListed: true }, visible.editableAgents(principal)] },
      // Deleted agents are listed for principals that could have deleted them.
      filter.includeDeleted
        ? all
          ? {}
          : { OR: [{ deletedAt: null }, visible.ownedAgents(principal)] }
        : { deletedAt: null },
      filter.includeBuiltin === false ? { isBuiltin: false } : {},
      filter.databaseIds ? { id: { in: [...filter.databaseIds] } } : {},
    ],
  };
}

export type AgentsService = ReturnType<typeof createAgentsService>;
