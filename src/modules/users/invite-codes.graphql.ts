import { signedIn } from '../../authz/principal.ts';
import type { InviteCode as InviteCodeRow, User as UserRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { connection, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { Account } from './accounts.graphql.ts';
import { inviteCodeOrder } from './invite-codes.service.ts';

const InviteCodeStatus = builder.enumType('InviteCodeStatus', {
  description: 'What became of an invite code.',
  values: {
    PENDING: { description: 'It works.' },
    CLAIMED: { description: 'Somebody made an account with it.' },
    DISABLED: { description: 'It opens nothing any more.' },
  },
});

const InviteCode = builder.prismaObject('InviteCode', {
  description: 'A code with which one person makes an account of their own, and joins agents.',
  fields: (t) => ({
    databaseId: t.exposeInt('id', { description: 'The integer id.' }),
    display: t.exposeString('display', {
      description: 'For recognition only; the code is shown once, when it is made.',
    }),
    status: t.expose('status', { type: InviteCodeStatus, description: 'What became of it.' }),
    agentIds: t.exposeIntList('agentIds', {
      description: 'The integer ids of the agents that are shared with whoever claims it.',
    }),
    createdBy: t.relation('createdBy', {
      type: Account,
      nullable: true,
      description: 'Who made it; null when they are gone.',
    }),
    claimedBy: t.relation('claimedBy', {
      type: Account,
      nullable: true,
      description: 'Who made an account with it; null: nobody, or they are gone.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it was last changed.' }),
  }),
});

const InviteCodeConnection = builder.connectionObject(
  { type: InviteCode, name: 'InviteCodeConnection', description: 'A page of invite codes.' },
  { name: 'InviteCodeEdge', description: 'An invite code and its place in the list.' },
);

const Invite = builder.objectRef<{ status: InviteCodeRow['status'] }>('Invite').implement({
  description: 'An invite code, as who holds it sees it.',
  fields: (t) => ({ status: t.expose('status', { type: InviteCodeStatus, description: 'What became of it.' }) }),
});

const CreateInviteCodeInput = builder.inputType('CreateInviteCodeInput', {
  description: 'The code to make.',
  fields: (t) => ({
    agentIds: t.intList({
      description:
        'Integer ids of agents to share with whoever claims it, at most 1000: those that the caller could share.',
    }),
  }),
});

const DisableInviteCodeInput = builder.inputType('DisableInviteCodeInput', {
  description: 'Which code is made useless.',
  fields: (t) => ({ databaseId: t.int({ required: true, description: 'Its integer id.' }) }),
});

const AcceptInviteInput = builder.inputType('AcceptInviteInput', {
  description: 'A code, and the account to make with it.',
  fields: (t) => ({
    code: t.string({ required: true, description: 'The code.' }),
    username: t.string({
      required: true,
      description:
        'The name to log in with: 2 to 64 of a-z, 0-9 and . _ @ -, beginning with a letter. If it is an address, that is the person’s.',
    }),
    password: t.string({ required: true, description: '8 to 64 characters.' }),
  }),
});

const CreateInviteCodePayload = builder
  .objectRef<{ code: string; inviteCode: InviteCodeRow }>('CreateInviteCodePayload')
  .implement({
    description: 'A new invite code.',
    fields: (t) => ({
      code: t.exposeString('code', {
        description: 'The code, for the person who is to use it. It is shown this once and stored nowhere.',
      }),
      inviteCode: t.field({ type: InviteCode, description: 'What is stored.', resolve: (made) => made.inviteCode }),
    }),
  });

const DisableInviteCodePayload = builder.objectRef<InviteCodeRow>('DisableInviteCodePayload').implement({
  description: 'What `disableInviteCode` changed.',
  fields: (t) => ({
    inviteCode: t.field({ type: InviteCode, description: 'The code as it is now.', resolve: (code) => code }),
  }),
});

const AcceptInvitePayload = builder.objectRef<{ account: UserRow }>('AcceptInvitePayload').implement({
  description: 'What `acceptInvite` made.',
  fields: (t) => ({
    account: t.field({ type: Account, description: 'The account.', resolve: ({ account }) => account }),
  }),
});

builder.queryFields((t) => ({
  inviteCodes: t.field({
    type: InviteCodeConnection,
    authScopes: { permission: 'manage:users' },
    description: 'All invite codes, oldest first.',
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
    description: 'What became of an invite code, to who holds it; null for what is none.',
    args: { code: t.arg.string({ required: true, description: 'The code.' }) },
    resolve: (_root, { code }, { services }) => services.inviteCodes.look(code),
  }),
}));

builder.mutationFields((t) => ({
  createInviteCode: t.field({
    type: CreateInviteCodePayload,
    authScopes: { permission: 'manage:users' },
    description:
      'Makes a code with which one person makes an account with the role BASIC, whoever may register. It ends with the rights of its maker.',
    args: { input: t.arg({ type: CreateInviteCodeInput, required: true, description: 'The code.' }) },
    resolve: (_root, { input }, { principal, services }) => services.inviteCodes.create(signedIn(principal), input),
  }),
  disableInviteCode: t.field({
    type: DisableInviteCodePayload,
    authScopes: { permission: 'manage:users' },
    description: 'Makes an invite code useless. A second time changes nothing.',
    args: { input: t.arg({ type: DisableInviteCodeInput, required: true, description: 'The code.' }) },
    resolve: (_root, { input }, { principal, services }) =>
      services.inviteCodes.disable(signedIn(principal), input.databaseId),
  }),
  acceptInvite: t.field({
    type: AcceptInvitePayload,
    public: true,
    description:
      'Makes an account with an invite code, and joins its agents. A code works once. From one address 50 may be tried in 15 minutes.',
    args: { input: t.arg({ type: AcceptInviteInput, required: true, description: 'The code and the account.' }) },
    resolve: async (_root, { input }, { client, services }) => ({
      account: await services.inviteCodes.accept(client, input),
    }),
  }),
}));
