import type { InviteCode as InviteCodeRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { connection, edge, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { integerId, integerIdList } from '../../graphql/id-input.ts';
import { integerIds, nodeRule } from '../../graphql/nodes.ts';
import { inviteCodeOrder } from './invite-code-lists.ts';
import { ownAccountPayload } from './sessions.graphql.ts';
import { User } from './users.graphql.ts';

const InviteCodeStatus = builder.enumType('InviteCodeStatus', {
  description: 'The state of an invite code.',
  values: {
    PENDING: { description: 'The code can be used.' },
    CLAIMED: { description: 'A person created an account with the code.' },
    DISABLED: { description: 'The code cannot be used any more.' },
  },
});

export const InviteCode = builder.prismaNode('InviteCode', {
  id: { field: 'id', description: 'The global ID of the invite code.' },
  description: 'A code with which one person creates an account and joins agents.',
  nullable: true,
  fields: (t) => ({
    databaseId: t.exposeInt('id', { description: 'The integer ID that the REST paths use.' }),
    display: t.exposeString('display', {
      description: 'Display form, for recognition only. The code is returned once, at creation.',
    }),
    status: t.expose('status', { type: InviteCodeStatus, description: 'The state of the code.' }),
    agentDatabaseIds: t.exposeIntList('agentIds', {
      description:
        'The integer IDs of the agents that are shared with the person who uses the code, including deleted agents and agents that the caller cannot read.',
    }),
    createdBy: t.relation('createdBy', {
      type: User,
      nullable: true,
      description: 'The user who created the code; null if that user was deleted.',
    }),
    claimedBy: t.relation('claimedBy', {
      type: User,
      nullable: true,
      description: 'The person who created an account with the code; null while it is unused and if they were deleted.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'The time at which the code was created.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'The time of the last change of its state.' }),
  }),
});

nodeRule('InviteCode', {
  permission: 'manage:users',
  readable: ({ prisma }, _principal, ids) =>
    prisma.inviteCode.findMany({ where: { id: { in: integerIds(ids) } }, select: { id: true } }),
});

const InviteCodeEdge = builder.edgeObject({
  name: 'InviteCodeEdge',
  type: InviteCode,
  description: 'An invite code in a list of invite codes.',
});
const InviteCodeConnection = builder.connectionObject(
  { type: InviteCode, name: 'InviteCodeConnection', description: 'A page of a list of invite codes.' },
  InviteCodeEdge,
);

const Invite = builder.objectRef<{ status: InviteCodeRow['status'] }>('Invite').implement({
  description: 'The state of an invite code, for the person who has the code.',
  fields: (t) => ({ status: t.expose('status', { type: InviteCodeStatus, description: 'The state of the code.' }) }),
});

const CreateInviteCodeInput = builder.inputType('CreateInviteCodeInput', {
  description: 'Input for the mutation `createInviteCode`.',
  fields: (t) => ({
    agentIds: t.idList({
      description:
        'The agents to share with the person who uses the code, by their global IDs or integer database IDs; at most 1000. The caller must be allowed to share each of them.',
    }),
  }),
});

const DisableInviteCodeInput = builder.inputType('DisableInviteCodeInput', {
  description: 'Input for the mutation `disableInviteCode`.',
  fields: (t) => ({
    id: t.id({ required: true, description: 'The code, by its global ID or its integer `databaseId`.' }),
  }),
});

const AcceptInviteInput = builder.inputType('AcceptInviteInput', {
  description: 'Input for the mutation `acceptInvite`.',
  fields: (t) => ({
    code: t.string({ required: true, description: 'The invite code, as the invited person received it.' }),
    username: t.string({
      required: true,
      description:
        'The name to log in with: 2 to 64 of the characters a-z, 0-9 and . _ @ -, the first of them a letter. An e-mail address also becomes the address of the person.',
    }),
    password: t.string({ required: true, description: 'The password: 8 to 64 characters.' }),
  }),
});

const CreateInviteCodePayload = builder
  .objectRef<{ code: string; inviteCode: InviteCodeRow }>('CreateInviteCodePayload')
  .implement({
    description: 'Result of the mutation `createInviteCode`.',
    fields: (t) => ({
      code: t.exposeString('code', {
        description: 'The code, for the person who is to use it. It is returned only once and stored only as a hash.',
      }),
      inviteCode: t.field({
        type: InviteCode,
        description: 'The new invite code.',
        resolve: (made) => made.inviteCode,
      }),
      inviteCodeEdge: t.field({
        type: InviteCodeEdge,
        description: 'The new invite code as an edge of `inviteCodes`.',
        resolve: (made) => edge(inviteCodeOrder, made.inviteCode),
      }),
    }),
  });

const DisableInviteCodePayload = builder.objectRef<InviteCodeRow>('DisableInviteCodePayload').implement({
  description: 'Result of the mutation `disableInviteCode`.',
  fields: (t) => ({
    inviteCode: t.field({ type: InviteCode, description: 'The disabled invite code.', resolve: (code) => code }),
  }),
});

const AcceptInvitePayload = ownAccountPayload('AcceptInvitePayload', 'acceptInvite');

builder.queryFields((t) => ({
  inviteCodes: t.field({
    type: InviteCodeConnection,
    authScopes: { permission: 'manage:users' },
    description: 'All invite codes, the oldest first.',
    args: pageArgs(t.arg),
    resolve: async (_root, args, context, info) => {
      const { inviteCodes } = context.services;
      const page = await inviteCodes.list(args, context.pageLimit, nodeQuery(context, info));
      return connection(inviteCodeOrder, page, args, inviteCodes.count);
    },
  }),
  invite: t.field({
    type: Invite,
    nullable: true,
    public: true,
    description: 'The state of an invite code, for the person who has it; null for an unknown code.',
    args: { code: t.arg.string({ required: true, description: 'The invite code to look up.' }) },
    resolve: (_root, { code }, { services }) => services.inviteCodes.look(code),
  }),
}));

builder.mutationFields((t) => ({
  createInviteCode: t.withAuth({ permission: 'manage:users' }).field({
    type: CreateInviteCodePayload,
    description:
      'Creates a code with which one person creates an account with the role BASIC, independently of the registration mode. It stops working when its creator loses the permission to create it.',
    args: { input: t.arg({ type: CreateInviteCodeInput, required: true, description: 'The agents to join.' }) },
    resolve: (_root, { input }, { principal, services }) =>
      services.inviteCodes.create(principal, {
        agentIds: integerIdList(input.agentIds ?? [], 'Agent', ['input', 'agentIds']),
      }),
  }),
  disableInviteCode: t.withAuth({ permission: 'manage:users' }).field({
    type: DisableInviteCodePayload,
    description: 'Disables an invite code. Has no effect on a code that is disabled already.',
    args: {
      input: t.arg({ type: DisableInviteCodeInput, required: true, description: 'The invite code to disable.' }),
    },
    resolve: (_root, { input }, { principal, services }) =>
      services.inviteCodes.disable(principal, integerId(input.id, 'InviteCode', ['input', 'id'])),
  }),
  acceptInvite: t.field({
    type: AcceptInvitePayload,
    public: true,
    description:
      'Creates an account with an invite code and joins the agents of the code. A code works once. At most 50 attempts from an address within 15 minutes.',
    args: { input: t.arg({ type: AcceptInviteInput, required: true, description: 'The code and the new account.' }) },
    resolve: (_root, { input }, { client, services }) => services.inviteCodes.accept(client, input),
  }),
}));
