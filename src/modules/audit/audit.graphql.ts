import { builder } from '../../graphql/builder.ts';
import { connection, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { integerIds, nodeRule } from '../../graphql/nodes.ts';
import { auditActions, auditOrder } from './audit.service.ts';

const actionList = Object.entries(auditActions)
  .map(([name, meaning]) => `\`${name}\`: ${meaning}`)
  .join(' ');

const AuditEvent = builder.prismaNode('AuditEvent', {
  id: { field: 'id', description: 'The global id.' },
  nullable: true,
  description:
    'Who did what, with which credential, from where. Never changed; deleted only when its retention is over.',
  fields: (t) => ({
    databaseId: t.string({ description: 'Its number, which rises with time.', resolve: ({ id }) => String(id) }),
    at: t.expose('at', { type: 'DateTime', description: 'When.' }),
    action: t.exposeString('action', { description: `What. ${actionList}` }),
    actorId: t.expose('actorId', {
      type: 'UUID',
      nullable: true,
      description: 'The user; null for the server itself.',
    }),
    actorName: t.exposeString('actorName', { nullable: true, description: 'The user’s name at that time.' }),
    tokenId: t.exposeInt('tokenId', { nullable: true, description: 'The integer id of the credential.' }),
    address: t.exposeString('address', { nullable: true, description: 'The network address of the client.' }),
    userAgent: t.exposeString('userAgent', { nullable: true, description: 'What the client calls itself.' }),
    targetType: t.exposeString('targetType', { nullable: true, description: 'The kind of thing, such as `ApiKey`.' }),
    targetId: t.exposeString('targetId', { nullable: true, description: 'Which one.' }),
    detail: t.expose('detail', { type: 'JSONObject', description: 'What changed, or why it was refused.' }),
  }),
});

nodeRule('AuditEvent', {
  permission: 'read:audit',
  readable: ({ prisma }, _principal, ids) =>
    prisma.auditEvent
      .findMany({ where: { id: { in: integerIds(ids) } }, select: { id: true } })
      .then((rows) => rows.map(({ id }) => ({ id: String(id) }))),
});

const AuditEventConnection = builder.connectionObject(
  { type: AuditEvent, name: 'AuditEventConnection', description: 'A page of the audit trail.' },
  { name: 'AuditEventEdge', description: 'An event and its place in the trail.' },
);

const AuditFilterInput = builder.inputType('AuditFilter', {
  description: 'Which events. Everything that is given must fit.',
  fields: (t) => ({
    actions: t.stringList({ description: `One of these. ${actionList}` }),
    actorId: t.field({ type: 'UUID', description: 'By this user.' }),
    tokenId: t.int({ description: 'With the credential of this integer id.' }),
    targetType: t.string({ description: 'To things of this kind, such as `ApiKey`.' }),
    targetId: t.string({ description: 'To the thing with this id; with `targetType`.' }),
    address: t.string({ description: 'From exactly this address.' }),
    since: t.field({ type: 'DateTime', description: 'At this time or later.' }),
    until: t.field({ type: 'DateTime', description: 'Before this time.' }),
  }),
});

builder.queryField('auditEvents', (t) =>
  t.field({
    type: AuditEventConnection,
    authScopes: { permission: 'read:audit' },
    description: 'The audit trail, newest first.',
    args: { ...pageArgs(t.arg), filter: t.arg({ type: AuditFilterInput, description: 'Which events.' }) },
    resolve: async (_root, { filter, ...args }, context, info) => {
      const { audit } = context.services;
      const which = { ...filter, actions: filter?.actions as Parameters<typeof audit.count>[0]['actions'] };
      const page = await audit.list(which, args, context.pageLimit, nodeQuery(context, info));
      return connection(auditOrder, page, args, () => audit.count(which));
    },
  }),
);
