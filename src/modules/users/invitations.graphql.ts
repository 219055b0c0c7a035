import type { Invitation as InvitationRow } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { connection, edge, pageArgs } from '../../graphql/connection.ts';
import { globalId, integerId } from '../../graphql/id-input.ts';
import { integerIds, nodeRule } from '../../graphql/nodes.ts';
import { invitationOrder } from './invitations.ts';

const Invitation = builder.prismaNode('Invitation', {
  id: { field: 'id', description: 'The global ID of the invitation.' },
  description: 'An e-mail address that can register while the server accepts invited people only.',
  nullable: true,
  fields: (t) => ({
    databaseId: t.exposeInt('id', { description: 'The integer ID of the invitation.' }),
    email: t.exposeString('email', { description: 'The invited e-mail address, in lower case.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'The time at which the address was invited.' }),
  }),
});

nodeRule('Invitation', {
  permission: 'manage:users',
  readable: ({ prisma }, _principal, ids) =>
    prisma.invitation.findMany({ where: { id: { in: integerIds(ids) } }, select: { id: true } }),
});

const InvitationEdge = builder.edgeObject({
  name: 'InvitationEdge',
  type: Invitation,
  description: 'An invitation in a list of invitations.',
});

const InvitationConnection = builder.connectionObject(
  { type: Invitation, name: 'InvitationConnection', description: 'A page of a list of invitations.' },
  InvitationEdge,
);

const InvitationFilter = builder.inputType('InvitationFilter', {
  description: 'Conditions on a list of invitations.',
  fields: (t) => ({ search: t.string({ description: 'Text that the address contains, ignoring case.' }) }),
});

const InviteUsersInput = builder.inputType('InviteUsersInput', {
  description: 'Input for the mutation `inviteUsers`.',
  fields: (t) => ({
    emails: t.stringList({
      required: true,
      description: 'The e-mail addresses to invite, 1 to 1000. If one is invalid, none of them is invited.',
    }),
  }),
});

const RemoveInvitationInput = builder.inputType('RemoveInvitationInput', {
  isOneOf: true,
  description: 'Input for `removeInvitation`: names the invitation.',
  fields: (t) => ({
    id: t.id({ description: 'The invitation, by its global ID or its integer `databaseId`.' }),
    email: t.string({ description: 'The invited e-mail address, in any letter case.' }),
  }),
});

const InviteUsersPayload = builder.objectRef<InvitationRow[]>('InviteUsersPayload').implement({
  description: 'Result of the mutation `inviteUsers`.',
  fields: (t) => ({
    invitedCount: t.int({
      description: 'The number of new invitations. Addresses that are registered or invited already do not count.',
      resolve: (invitations) => invitations.length,
    }),
    invitationEdges: t.field({
      type: [InvitationEdge],
      description: 'The new invitations as edges of `invitations`; at most 1000.',
      resolve: (invitations) => invitations.map((invitation) => edge(invitationOrder, invitation)),
    }),
  }),
});

const RemoveInvitationPayload = builder
  .objectRef<{ id: number; remaining: number }>('RemoveInvitationPayload')
  .implement({
    description: 'Result of the mutation `removeInvitation`.',
    fields: (t) => ({
      deletedInvitationId: t.id({
        description: 'The global ID of the removed invitation.',
        resolve: ({ id }) => globalId('Invitation', id),
      }),
      remainingCount: t.exposeInt('remaining', { description: 'The number of invitations that are left.' }),
    }),
  });

builder.queryField('invitations', (t) =>
  t.field({
    type: InvitationConnection,
    authScopes: { permission: 'manage:users' },
    description: 'The invited addresses that have not registered yet, the oldest invitation first.',
    args: {
      ...pageArgs(t.arg),
      filter: t.arg({ type: InvitationFilter, description: 'Conditions on the invitations.' }),
    },
    resolve: async (_root, { filter, ...args }, context) => {
      const { accounts } = context.services;
      const page = await accounts.listInvitations(filter ?? {}, args, context.pageLimit);
      return connection(invitationOrder, page, args, () => accounts.countInvitations(filter ?? {}));
    },
  }),
);

builder.mutationFields((t) => ({
  inviteUsers: t.withAuth({ permission: 'manage:users' }).field({
    type: InviteUsersPayload,
    description: 'Invites e-mail addresses, which can then register.',
    args: { input: t.arg({ type: InviteUsersInput, required: true, description: 'The addresses to invite.' }) },
    sizedFields: { invitationEdges: ({ input }) => input.emails.length },
    resolve: (_root, { input }, { principal, services }) => services.accounts.invite(principal, input),
  }),
  removeInvitation: t.withAuth({ permission: 'manage:users' }).field({
    type: RemoveInvitationPayload,
    description: 'Removes an invitation, so that the address cannot register with it.',
    args: { input: t.arg({ type: RemoveInvitationInput, required: true, description: 'The invitation to remove.' }) },
    resolve: (_root, { input: { id, email } }, { principal, services }) =>
      services.accounts.removeInvitation(
        principal,
        id != null ? { id: integerId(id, 'Invitation', ['input', 'id']) } : { email: email ?? '' },
      ),
  }),
}));
