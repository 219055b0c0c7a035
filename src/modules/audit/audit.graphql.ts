import { builder } from '../../graphql/builder.ts';
import { connection, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { credentialId, credentialIdDescription, globalId, globalIdOf, uuidId } from '../../graphql/id-input.ts';
import { integerIds, nodeRule } from '../../graphql/nodes.ts';
import { orderInput } from '../../graphql/order.ts';
import { type AuditAction, type AuditFilter, auditActions, auditOrders, isAuditAction } from './audit.service.ts';

/** Returns an action in the spelling of the GraphQL schema: `API_KEY_CREATE`. */
const actionConstant = (action: string): string => action.replaceAll('.', '_').toUpperCase();

const AuditActionType = builder.enumType('AuditAction', {
  description: 'An action that the audit trail records.',
  values: Object.fromEntries(
    Object.entries(auditActions).map(([action, description]) => [
      actionConstant(action),
      { value: action as AuditAction, description },
    ]),
  ) as Record<string, { value: AuditAction; description: string }>,
});

export const AuditEvent = builder.prismaNode('AuditEvent', {
  id: { field: 'id', description: 'The global ID of the event.' },
  nullable: true,
  description:
    'An entry of the audit trail. It never changes and is deleted only when its retention period is over. It keeps the IDs of objects that no longer exist.',
  fields: (t) => ({
    databaseId: t.string({
      description: 'The number of the event as text, which increases with time.',
      resolve: ({ id }) => String(id),
    }),
    at: t.expose('at', { type: 'DateTime', description: 'The time of the event.' }),
    action: t.field({
      type: AuditActionType,
      nullable: true,
      description: 'The recorded action; null if this version of the server does not know it.',
      resolve: ({ action }) => (isAuditAction(action) ? action : null),
    }),
    actionName: t.exposeString('action', {
      description: 'The name of the action in the REST export, such as `api_key.create`.',
    }),
    actorDatabaseId: t.expose('actorId', {
      type: 'UUID',
      nullable: true,
      description: 'The UUID of that user; null for the server itself.',
    }),
    actorName: t.exposeString('actorName', {
      nullable: true,
      description: 'The display name of that user at the time of the event.',
    }),
    tokenDatabaseId: t.exposeInt('tokenId', {
      nullable: true,
      description: 'The integer ID of the credential of the request; null for the server itself.',
    }),
    address: t.exposeString('address', {
      nullable: true,
      description: 'The network address of the client; null if it is unknown.',
    }),
    userAgent: t.exposeString('userAgent', {
      nullable: true,
      description: 'The `User-Agent` header of the client, at most 500 characters; null without the header.',
    }),
    targetType: t.exposeString('targetType', {
      nullable: true,
      description: 'The type of the object that the action concerns, such as `ApiKey`; null without an object.',
    }),
    targetId: t.exposeString('targetId', {
      nullable: true,
      description: 'The database ID of that object; null without an object.',
    }),
    targetGlobalId: t.id({
      nullable: true,
      description:
        'The global ID of that object, for `node`; null if its type has no global IDs. The object may no longer exist.',
      resolve: ({ targetType, targetId }) =>
        targetType !== null && targetId !== null && nodeTargets.has(targetType) ? globalId(targetType, targetId) : null,
    }),
    detail: t.expose('detail', {
      type: 'JSONObject',
      description: 'The details of the change, or the reason of the denial, by field name.',
    }),
  }),
});

/** The types of targets whose database ID is also the ID within their global ID. */
const nodeTargets: ReadonlySet<string> = new Set([
  'ApiKey',
  'File',
  'InviteCode',
  'PersonalAccessToken',
  'Project',
  'RateLimit',
  'User',
  'UserCredential',
]);

nodeRule('AuditEvent', {
  permission: 'read:audit',
  readable: ({ prisma }, _principal, ids) =>
    prisma.auditEvent
      .findMany({ where: { id: { in: integerIds(ids) } }, select: { id: true } })
      .then((rows) => rows.map(({ id }) => ({ id: String(id) }))),
});

const AuditEventConnection = builder.connectionObject(
  { type: AuditEvent, name: 'AuditEventConnection', description: 'A page of the audit trail.' },
  { name: 'AuditEventEdge', description: 'An event in the audit trail.' },
);

const AuditFilterInput = builder.inputType('AuditFilter', {
  description: 'Conditions on the audit trail; all that are set must be met.',
  fields: (t) => ({
    actions: t.field({ type: [AuditActionType], description: 'Returns only events with one of these actions.' }),
    actorId: t.id({
      description: 'Returns only events of this user, by the global ID or the UUID. The user may be deleted.',
    }),
    tokenId: t.id({
      description: `Returns only events of requests with this credential, ${credentialIdDescription}. It may be deleted.`,
    }),
    targetType: t.string({ description: 'Returns only events on objects of this type, such as `ApiKey`.' }),
    targetId: t.id({
      description:
        'Returns only events on this object, by its global ID or its database ID. Set `targetType` as well with a database ID, because objects of several types can have the same one.',
    }),
    address: t.string({ description: 'Returns only events of clients with exactly this network address.' }),
    since: t.field({ type: 'DateTime', description: 'Returns only events at this time or later.' }),
    until: t.field({ type: 'DateTime', description: 'Returns only events before this time.' }),
  }),
});

const AuditEventOrder = orderInput('AuditEvent', auditOrders, { AT: 'The time of the event.' });

/** Returns the target of a filter: a global ID of one of the `nodeTargets` sets its type as well. */
function targetOf({ targetType, targetId }: Pick<typeof AuditFilterInput.$inferInput, 'targetType' | 'targetId'>) {
  const named = targetId == null ? null : globalIdOf(targetId);
  if (!named || !nodeTargets.has(named.typename)) return { targetType, targetId };
  return { targetType: targetType ?? named.typename, targetId: named.id };
}

/** Reads the filter of a request. Throws BAD_USER_INPUT for a text that is not an ID. */
const filterOf = (filter: typeof AuditFilterInput.$inferInput | null | undefined): AuditFilter => ({
  ...filter,
  ...targetOf(filter ?? {}),
  actorId: filter?.actorId == null ? null : uuidId(filter.actorId, 'User', ['filter', 'actorId']),
  tokenId: filter?.tokenId == null ? null : credentialId(filter.tokenId, ['filter', 'tokenId']),
});

builder.queryField('auditEvents', (t) =>
  t.field({
    type: AuditEventConnection,
    authScopes: { permission: 'read:audit' },
    description: 'The audit trail: who changed what, with which credential, and which requests were denied.',
    args: {
      ...pageArgs(t.arg),
      filter: t.arg({ type: AuditFilterInput, description: 'Conditions on the events.' }),
      orderBy: t.arg({ type: AuditEventOrder, description: 'Order of the events. Defaults to the newest first.' }),
    },
    resolve: async (_root, { filter, orderBy, ...args }, context, info) => {
      const { audit } = context.services;
      const [conditions, order] = [filterOf(filter), auditOrders.of(orderBy)];
      const page = await audit.list(conditions, {
        order,
        args,
        limit: context.pageLimit,
        query: nodeQuery(context, info),
      });
      return connection(order, page, args, () => audit.count(conditions));
    },
  }),
);
