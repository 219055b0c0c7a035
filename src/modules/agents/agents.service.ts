import { z } from 'zod';
import { can, type Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, conflict, forbidden, notFound, parse } from '../../errors.ts';
import type { Agent, Prisma } from '../../generated/prisma/client.ts';
import { cut, ListOrder, type PageArgs } from '../../paging.ts';
import type { Database } from '../../store/database.ts';
import { databaseId, plainText } from '../input.ts';

const StarterMessage = z.object({ name: plainText(200), message: plainText(2000) });

const fields = {
  name: plainText(255).refine((name) => name.trim() !== '', 'must not be blank'),
  description: plainText(2000),
  systemPrompt: plainText(100_000),
  taskPrompt: plainText(100_000),
  replaceBaseSystemPrompt: z.boolean(),
  datetimeAware: z.boolean(),
  isPublic: z.boolean(),
  isFeatured: z.boolean(),
  displayPriority: databaseId.nullable(),
  iconName: plainText(100).nullable(),
  knowledge: z.enum(['ALL', 'ATTACHED']),
  searchStartDate: z.date().nullable(),
  starterMessages: z.array(StarterMessage).max(50),
  labelIds: z.array(databaseId).max(100),
  actionIds: z.array(databaseId).max(100),
  documentIds: z.array(plainText(500)).max(1000),
  fileIds: z.array(z.uuid()).max(100),
  userIds: z.array(z.uuid()).max(1000),
};
const UpdateAgent = z.object(fields).partial();
const CreateAgent = UpdateAgent.required({ name: true });
const Shares = z.array(z.object({ userId: z.uuid(), permission: z.enum(['VIEWER', 'EDITOR']).optional() })).max(1000);

export type CreateAgentInput = z.input<typeof CreateAgent>;
export type UpdateAgentInput = z.input<typeof UpdateAgent>;
export type AgentShareInput = z.input<typeof Shares>[number];

export type AgentPermission = 'OWNER' | 'EDITOR' | 'VIEWER';

export interface AgentFilter {
  includeDeleted?: boolean | null | undefined;
  /** Only those that the caller may edit. */
  editable?: boolean | null | undefined;
  /** Whether the built-in agent is listed; true when absent. */
  includeBuiltin?: boolean | null | undefined;
  databaseIds?: readonly number[] | null | undefined;
}

export const agentOrder = new ListOrder('agents', [
  { field: 'displayPriority', type: 'int', direction: 'asc', nullable: true },
  { field: 'id', type: 'int', direction: 'asc' },
]);
export const labelOrder = new ListOrder('labels', [{ field: 'id', type: 'int', direction: 'asc' }]);

export function agentsService(db: Database) {
  /** Throws NOT_FOUND for what the caller cannot see, FORBIDDEN for what they see but may not touch. */
  async function findFor(
    transaction: Prisma.TransactionClient,
    principal: Principal,
    id: number,
    rule: Prisma.AgentWhereInput,
  ): Promise<Agent> {
    const agent = await transaction.agent.findFirst({
      where: { AND: [visible.usableAgents(principal), { id }] },
    });
    if (!agent) throw notFound('Agent');
    const allowed = await transaction.agent.count({ where: { AND: [rule, { id }] } });
    if (allowed === 0) throw forbidden(['manage:agents'], 'This agent is not yours to change.');
    return agent;
  }

  /** Checks that everything an input points to is there and may be used. Throws BAD_USER_INPUT naming the field. */
  async function checkReferences(
    transaction: Prisma.TransactionClient,
    principal: Principal,
    input: UpdateAgentInput,
    agentId?: number,
  ) {
    const { labelIds, actionIds, userIds, documentIds, fileIds } = input;
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
      userIds,
      () =>
        transaction.user.count({
          where: { id: { in: userIds ?? [] }, active: true, tokens: { none: { kind: 'PROJECT' } } },
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
    // Who uses the agent reads them: only their owner gives them away. An editor leaves those of others where they are.
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

  /** Two agents of one owner do not share a name. */
  async function checkName(
    transaction: Prisma.TransactionClient,
    ownerId: string | null,
    name: string,
    exceptId?: number,
  ) {
    if (ownerId === null) return;
    // The owner's row orders two creations that race for one name.
    await transaction.$queryRaw`SELECT 1 FROM "User" WHERE "id" = ${ownerId}::uuid FOR UPDATE`;
    const taken = await transaction.agent.count({
      where: { ownerId, name, deletedAt: null, ...(exceptId !== undefined && { id: { not: exceptId } }) },
    });
    if (taken > 0) throw conflict(`Assistant with name '${name}' already exists. Please rename your assistant.`);
  }

  function checkFeature(principal: Principal, input: UpdateAgentInput, before?: Agent) {
    const changes =
      (input.isFeatured ?? before?.isFeatured ?? false) !== (before?.isFeatured ?? false) ||
      (input.displayPriority !== undefined && input.displayPriority !== (before?.displayPriority ?? null));
    if (changes && !can(principal, 'manage:agents'))
      throw forbidden(['manage:agents'], 'Only users with agent management permissions can make a featured persona');
  }

  const scalars = ({
    starterMessages,
    labelIds,
    actionIds,
    documentIds,
    fileIds,
    userIds,
    ...rest
  }: UpdateAgentInput) => rest;

  return {
    async create(principal: Principal, input: CreateAgentInput): Promise<Agent> {
      const data = parse(CreateAgent, input);
      checkFeature(principal, data);
      return db.prisma.$transaction(async (transaction) => {
        await checkReferences(transaction, principal, data);
        await checkName(transaction, principal.userId, data.name);
        return transaction.agent.create({
          data: {
            ...scalars(data),
            name: data.name,
            owner: { connect: { id: principal.userId } },
            starterMessages: {
              create: (data.starterMessages ?? []).map((message, position) => ({ ...message, position })),
            },
            labels: { connect: (data.labelIds ?? []).map((id) => ({ id })) },
            actions: { connect: (data.actionIds ?? []).map((id) => ({ id })) },
            documents: { connect: (data.documentIds ?? []).map((externalId) => ({ externalId })) },
            files: { connect: (data.fileIds ?? []).map((fileId) => ({ id: fileId })) },
            shares: { create: [...new Set(data.userIds ?? [])].map((userId) => ({ userId })) },
          },
        });
      });
    },

    /** Changes what is given. Owner, editors and `manage:agents`; only an owner changes who sees it. */
    async update(principal: Principal, id: number, input: UpdateAgentInput): Promise<Agent> {
      const data = parse(UpdateAgent, input);
      return db.prisma.$transaction(async (transaction) => {
        const before = await findFor(transaction, principal, id, visible.editableAgents(principal));
        const opens = (data.isPublic !== undefined && data.isPublic !== before.isPublic) || data.userIds !== undefined;
        if (opens) await findFor(transaction, principal, id, visible.ownedAgents(principal));
        if (before.isBuiltin && data.name !== undefined && data.name !== before.name)
          throw badInput(['input', 'name'], 'Cannot update builtin persona with non-builtin.');
        checkFeature(principal, data, before);
        await checkReferences(transaction, principal, data, id);
        if (data.name !== undefined && data.name !== before.name)
          await checkName(transaction, before.ownerId, data.name, id);
        if (data.userIds !== undefined)
          await setShares(
            transaction,
            id,
            data.userIds.map((userId) => ({ userId })),
          );
        return transaction.agent.update({
          where: { id },
          data: {
            ...scalars(data),
            ...(data.starterMessages && {
              starterMessages: {
                deleteMany: {},
                create: data.starterMessages.map((message, position) => ({ ...message, position })),
              },
            }),
            ...(data.labelIds && { labels: { set: data.labelIds.map((labelId) => ({ id: labelId })) } }),
            ...(data.actionIds && { actions: { set: data.actionIds.map((actionId) => ({ id: actionId })) } }),
            ...(data.documentIds && { documents: { set: data.documentIds.map((externalId) => ({ externalId })) } }),
            ...(data.fileIds && { files: { set: data.fileIds.map((fileId) => ({ id: fileId })) } }),
          },
        });
      });
    },

    /** Replaces the people an agent is shared with, its labels, and whether it is public: what is given of these. */
    async share(
      principal: Principal,
      id: number,
      input: { shares?: AgentShareInput[]; isPublic?: boolean; labelIds?: number[] },
    ): Promise<Agent> {
      const shares = input.shares && parse(Shares, input.shares, ['input', 'shares']);
      return db.prisma.$transaction(async (transaction) => {
        await findFor(transaction, principal, id, visible.ownedAgents(principal));
        const references = {
          ...(shares && { userIds: shares.map((share) => share.userId) }),
          ...(input.labelIds && { labelIds: input.labelIds }),
        };
        await checkReferences(transaction, principal, references);
        if (shares) await setShares(transaction, id, shares);
        return transaction.agent.update({
          where: { id },
          data: {
            ...(input.isPublic !== undefined && { isPublic: input.isPublic }),
            ...(input.labelIds && { labels: { set: input.labelIds.map((labelId) => ({ id: labelId })) } }),
          },
        });
      });
    },

    /** Hides an agent until somebody undeletes it. Its chats stay readable. */
    delete: (principal: Principal, id: number): Promise<Agent> =>
      db.prisma.$transaction(async (transaction) => {
        const agent = await findFor(transaction, principal, id, visible.ownedAgents(principal));
        if (agent.isBuiltin) throw forbidden([], 'A built-in agent cannot be deleted.');
        return transaction.agent.update({ where: { id }, data: { deletedAt: new Date() } });
      }),

    /** Throws CONFLICT when its owner has meanwhile given the name to another. */
    async undelete(id: number): Promise<Agent> {
      return db.prisma.$transaction(async (transaction) => {
        const agent = await transaction.agent.findFirst({ where: { id, deletedAt: { not: null } } });
        if (!agent) throw notFound('Deleted agent');
        await checkName(transaction, agent.ownerId, agent.name, id);
        return transaction.agent.update({ where: { id }, data: { deletedAt: null } });
      });
    },

    /** What only administrators set: whether lists show an agent, whether it is featured, and its place. */
    async curate(
      id: number,
      input: { isListed?: boolean; isFeatured?: boolean; displayPriority?: number | null },
    ): Promise<Agent> {
      const { count } = await db.prisma.agent.updateMany({ where: { id, deletedAt: null }, data: input });
      if (count === 0) throw notFound('Agent');
      return db.prisma.agent.findUniqueOrThrow({ where: { id } });
    },

    /** Throws NOT_FOUND. Deleted agents are there for `manage:agents` alone. */
    async find(principal: Principal, id: number, query: object = {}): Promise<Agent> {
      const agent = await db.prisma.agent.findFirst({
        ...query,
        where: {
          AND: [visible.agents(principal), { id, ...(can(principal, 'manage:agents') ? {} : { deletedAt: null }) }],
        },
      });
      if (!agent) throw notFound('Agent');
      return agent;
    },

    async list(principal: Principal, filter: AgentFilter, args: PageArgs, limit: number, query: object) {
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
      const { count } = await db.prisma.label.createMany({ data: [{ name }], skipDuplicates: true });
      if (count === 0) throw conflict(`Label with name '${name}' already exists`);
      return db.prisma.label.findUniqueOrThrow({ where: { name } });
    },
  };
}

/** Replaces the shares. Who stays without a word about what they may do keeps that; who is new becomes a viewer. */
async function setShares(transaction: Prisma.TransactionClient, agentId: number, shares: AgentShareInput[]) {
  const before = await transaction.agentShare.findMany({ where: { agentId } });
  const held = new Map(before.map(({ userId, permission }) => [userId, permission]));
  await transaction.agentShare.deleteMany({ where: { agentId } });
  await transaction.agentShare.createMany({
    data: shares.map(({ userId, permission }) => ({
      agentId,
      userId,
      permission: permission ?? held.get(userId.toLowerCase()) ?? 'VIEWER',
    })),
    skipDuplicates: true,
  });
}

/** What can be done to an agent. */
export type AgentOperation = 'EDIT' | 'SHARE' | 'DELETE' | 'CURATE';

/** What an agent is to a principal; `share` is what they have of it, if anything. */
export function agentPermission(
  principal: Principal,
  { ownerId }: Pick<Agent, 'ownerId'>,
  share: AgentPermission | undefined,
): AgentPermission {
  return can(principal, 'manage:agents') || ownerId === principal.userId ? 'OWNER' : (share ?? 'VIEWER');
}

/** What a credential may do to an agent: the rules of `visible`, and the permission that each mutation asks for. */
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

/** What a list shows: what the caller may see, less the unlisted agents of others and, unless asked for, the deleted. */
function listed(principal: Principal, filter: AgentFilter): Prisma.AgentWhereInput {
  const all = can(principal, 'manage:agents');
  return {
    AND: [
      filter.editable ? visible.editableAgents(principal) : visible.agents(principal),
      all || filter.editable ? {} : { OR: [{ isListed: true }, visible.editableAgents(principal)] },
      // Deleted agents are shown to those who could have deleted them.
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

export type AgentsService = ReturnType<typeof agentsService>;
