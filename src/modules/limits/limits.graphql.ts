import { signedIn } from '../../authz/principal.ts';
import { builder } from '../../graphql/builder.ts';
import { clearField } from '../../graphql/clear-input.ts';
import { connection, edge, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { credentialId, credentialIdDescription, globalId, integerId, uuidId } from '../../graphql/id-input.ts';
import { integerIds, nodeRule } from '../../graphql/nodes.ts';
import { ApiKey, apiKeyOf } from '../tokens/api-keys.graphql.ts';
import { UserCredential, userCredentialOf } from '../tokens/user-credentials.graphql.ts';
import { RoleType } from '../users/permissions.graphql.ts';
import { User, userOf } from '../users/users.graphql.ts';
import { ViewerType } from '../users/viewer.graphql.ts';
import { rateLimitOrder } from './limit-lists.ts';
import { generalScopes, type limitScopes } from './limit-scopes.ts';
import type { ViewerLimit } from './token-budgets.ts';
import type { UsageFigures, UsageFilter, UsageOfDay, UsageRecord } from './usage.service.ts';

const scopeDescriptions = {
  GLOBAL: { description: 'All requests to the server count together.' },
  EACH_USER: { description: 'The requests of each user count separately.' },
  EACH_TOKEN: { description: 'The requests with each credential count separately.' },
  ROLE: { description: 'The requests of all users with one role count together.' },
  USER: { description: 'The requests of one user count, with all credentials.' },
  TOKEN: { description: 'The requests with one credential count.' },
} satisfies Record<(typeof limitScopes)[number], object>;

const LimitScopeType = builder.enumType('LimitScope', {
  description: 'Determines which requests a limit counts together.',
  values: scopeDescriptions,
});

const GeneralLimitScopeType = builder.enumType('GeneralLimitScope', {
  description: 'The scope of a limit that does not name a role, a user or a credential.',
  values: Object.fromEntries(generalScopes.map((scope) => [scope, scopeDescriptions[scope]])) as Record<
    (typeof generalScopes)[number],
    object
  >,
});

const requestsDescription = 'Maximum number of requests in a minute, 1 to 1000000.';
const budgetDescription =
  'Maximum number of model tokens in the period, input and output together, 1 to 1000000000000. A running turn is not interrupted.';
const nullIfUnlimited = 'Null if unlimited.';
const periodDescription =
  'The length of the period in hours, 1 to 8760. The period ends now and starts with the full hour that began this number of hours ago.';

const RateLimit = builder.prismaNode('RateLimit', {
  id: { field: 'id', description: 'The global ID of the limit.' },
  nullable: true,
  description: 'A limit on requests or model tokens.',
  fields: (t) => ({
    databaseId: t.exposeInt('id', { description: 'The integer ID that the REST paths use.' }),
    scope: t.expose('scope', { type: LimitScopeType, description: 'Which requests the limit counts together.' }),
    role: t.expose('role', {
      type: RoleType,
      nullable: true,
      description: 'The role that is limited; null with a scope other than `ROLE`.',
    }),
    user: t.field({
      type: User,
      nullable: true,
      authScopes: { permission: 'read:users' },
      description: 'The limited user; null with a scope other than `USER`, and for a user that the caller cannot read.',
      resolve: ({ userId }, _args, context, info) => userOf(userId, context, info),
    }),
    userDatabaseId: t.expose('userId', {
      type: 'UUID',
      nullable: true,
      description: 'The UUID of the limited user; null with a scope other than `USER`.',
    }),
    apiKey: t.field({
      type: ApiKey,
      nullable: true,
      authScopes: { permission: 'manage:api_keys' },
      description:
        'The API key or project token that is limited; null with a scope other than `TOKEN` and for other credentials.',
      resolve: ({ tokenId }, _args, context, info) => apiKeyOf(tokenId, context, info),
    }),
    userCredential: t.field({
      type: UserCredential,
      nullable: true,
      authScopes: { permission: 'manage:users' },
      description:
        'The personal access token, login session or project token that is limited; null with a scope other than `TOKEN`, for other credentials, and if the caller cannot read it.',
      resolve: ({ tokenId }, _args, context, info) => userCredentialOf(tokenId, context, info),
    }),
    tokenDatabaseId: t.exposeInt('tokenId', {
      nullable: true,
      description: 'The integer ID of the credential that is limited; null with a scope other than `TOKEN`.',
    }),
    enabled: t.exposeBoolean('enabled', { description: 'Whether the limit is enforced.' }),
    requestsPerMinute: t.exposeInt('requestsPerMinute', {
      nullable: true,
      description: `${requestsDescription} ${nullIfUnlimited}`,
    }),
    tokenBudget: t.field({
      type: 'SafeInt',
      nullable: true,
      description: `${budgetDescription} ${nullIfUnlimited}`,
      resolve: ({ tokenBudget }) => (tokenBudget === null ? null : Number(tokenBudget)),
    }),
    periodHours: t.exposeInt('periodHours', {
      nullable: true,
      description: `${periodDescription} Null without a token budget.`,
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'The time at which the limit was created.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'The time of the last change of the limit.' }),
  }),
});

nodeRule('RateLimit', {
  permission: 'manage:rate_limits',
  readable: ({ prisma }, _principal, ids) =>
    prisma.rateLimit.findMany({ where: { id: { in: integerIds(ids) } }, select: { id: true } }),
});

const RateLimitEdge = builder.edgeObject({
  name: 'RateLimitEdge',
  type: RateLimit,
  description: 'A limit in a list of limits.',
});
const RateLimitConnection = builder.connectionObject(
  { type: RateLimit, name: 'RateLimitConnection', description: 'A page of a list of limits.' },
  RateLimitEdge,
);

const RateLimitFilterInput = builder.inputType('RateLimitFilter', {
  description: 'Conditions on a list of limits; all that are set must be met.',
  fields: (t) => ({
    scope: t.field({ type: LimitScopeType, description: 'Returns only limits of this scope.' }),
    role: t.field({ type: RoleType, description: 'Returns only limits of this role.' }),
    userId: t.id({
      description: 'Returns only limits with the scope `USER` of this user, by the global ID or the UUID.',
    }),
    tokenId: t.id({
      description: `Returns only limits with the scope \`TOKEN\` of this credential, ${credentialIdDescription}.`,
    }),
  }),
});

type InputFields = Parameters<NonNullable<Parameters<typeof builder.inputType>[1]['fields']>>[0];
const amounts = (t: InputFields) => ({
  requestsPerMinute: t.int({ description: requestsDescription }),
  tokenBudget: t.field({
    type: 'SafeInt',
    description: `${budgetDescription} Required when \`periodHours\` is set.`,
  }),
  periodHours: t.int({ description: `${periodDescription} Required when \`tokenBudget\` is set.` }),
});
const reference = (t: InputFields) => ({
  id: t.id({ required: true, description: 'The limit, by its global ID or its integer `databaseId`.' }),
  role: t.field({
    type: RoleType,
    description: 'Requires a limit of this role: any other limit is NOT_FOUND.',
    deprecationReason: 'For the REST paths of user groups only; `id` identifies the limit.',
  }),
});

const RateLimitSubjectInput = builder.inputType('RateLimitSubjectInput', {
  isOneOf: true,
  description: 'The requests that a limit counts: exactly one of the fields.',
  fields: (t) => ({
    scope: t.field({ type: GeneralLimitScopeType, description: 'The requests of all clients, by this scope.' }),
    role: t.field({ type: RoleType, description: 'The requests of all users with this role, together.' }),
    userId: t.id({ description: 'The requests of this user, by the global ID or the UUID.' }),
    tokenId: t.id({ description: `The requests with this credential, ${credentialIdDescription}.` }),
  }),
});

const CreateRateLimitInput = builder.inputType('CreateRateLimitInput', {
  description: 'Input for `createRateLimit`. `requestsPerMinute`, or `tokenBudget` with `periodHours`, is required.',
  fields: (t) => ({
    subject: t.field({
      type: RateLimitSubjectInput,
      required: true,
      description: 'The requests that the limit counts.',
    }),
    enabled: t.boolean({ description: 'If false, the limit is not enforced yet. Defaults to true.' }),
    ...amounts(t),
  }),
});

const clearRateLimit = clearField('ClearableRateLimitField', {
  requestsPerMinute: 'Removes the limit on requests.',
  tokenBudget: 'Removes the token budget, together with its period.',
});

const UpdateRateLimitInput = builder.inputType('UpdateRateLimitInput', {
  description:
    'Input for `updateRateLimit`. A field that is null or absent stays unchanged. The scope of a limit cannot be changed.',
  fields: (t) => ({
    ...reference(t),
    enabled: t.boolean({ description: 'If false, disables the limit; if true, enables it again.' }),
    ...amounts(t),
    clear: clearRateLimit(t),
  }),
});

const DeleteRateLimitInput = builder.inputType('DeleteRateLimitInput', {
  description: 'Input for the mutation `deleteRateLimit`.',
  fields: reference,
});

type LimitRow = typeof RateLimit.$inferType;

const CreateRateLimitPayload = builder.objectRef<{ rateLimit: LimitRow }>('CreateRateLimitPayload').implement({
  description: 'Result of the mutation `createRateLimit`.',
  fields: (t) => ({
    rateLimit: t.field({
      type: RateLimit,
      description: 'The limit that was created.',
      resolve: ({ rateLimit }) => rateLimit,
    }),
    rateLimitEdge: t.field({
      type: RateLimitEdge,
      description: 'The new limit as an edge of `rateLimits`.',
      resolve: ({ rateLimit }) => edge(rateLimitOrder, rateLimit),
    }),
  }),
});

const UpdateRateLimitPayload = builder.objectRef<{ rateLimit: LimitRow }>('UpdateRateLimitPayload').implement({
  description: 'Result of the mutation `updateRateLimit`.',
  fields: (t) => ({
    rateLimit: t.field({
      type: RateLimit,
      description: 'The limit after the change.',
      resolve: ({ rateLimit }) => rateLimit,
    }),
  }),
});

const DeleteRateLimitPayload = builder.objectRef<{ id: number }>('DeleteRateLimitPayload').implement({
  description: 'Result of the mutation `deleteRateLimit`.',
  fields: (t) => ({
    deletedRateLimitId: t.id({
      description: 'The global ID of the deleted limit.',
      resolve: ({ id }) => globalId('RateLimit', id),
    }),
  }),
});

interface Subjects {
  userId?: string | null | undefined;
  tokenId?: string | null | undefined;
}

/** Returns the database IDs of a user and a credential. Throws BAD_USER_INPUT, naming the field under `path`. */
const subjectIds = ({ userId, tokenId }: Subjects, path: string[]) => ({
  ...(userId != null && { userId: uuidId(userId, 'User', [...path, 'userId']) }),
  ...(tokenId != null && { tokenId: credentialId(tokenId, [...path, 'tokenId']) }),
});

/** Returns the scope of a new limit with the database ID of its subject. Throws BAD_USER_INPUT. */
function subjectOf({ scope, role, ...ids }: typeof RateLimitSubjectInput.$inferInput) {
  const { userId, tokenId } = subjectIds(ids, ['input', 'subject']);
  if (scope) return { scope };
  if (role) return { scope: 'ROLE' as const, role };
  return userId === undefined ? { scope: 'TOKEN' as const, tokenId } : { scope: 'USER' as const, userId };
}

builder.queryField('rateLimits', (t) =>
  t.field({
    type: RateLimitConnection,
    authScopes: { permission: 'manage:rate_limits' },
    description: 'The limits on requests and model tokens, oldest first.',
    args: {
      ...pageArgs(t.arg),
      filter: t.arg({ type: RateLimitFilterInput, description: 'Conditions on the limits.' }),
    },
    resolve: async (_root, { filter, ...args }, context, info) => {
      const { limits } = context.services;
      const conditions = { scope: filter?.scope, role: filter?.role, ...subjectIds(filter ?? {}, ['filter']) };
      const page = await limits.list(conditions, args, context.pageLimit, nodeQuery(context, info));
      return connection(rateLimitOrder, page, args, () => limits.count(conditions));
    },
  }),
);

builder.mutationFields((t) => ({
  createRateLimit: t.withAuth({ permission: 'manage:rate_limits' }).field({
    type: CreateRateLimitPayload,
    description: 'Creates a limit, which is enforced from the next request. A subject has at most 100 limits.',
    args: { input: t.arg({ type: CreateRateLimitInput, required: true, description: 'The limit to create.' }) },
    resolve: async (_root, { input: { subject, ...input } }, { principal, services }) => ({
      rateLimit: await services.limits.create(principal, { ...input, ...subjectOf(subject) }),
    }),
  }),
  updateRateLimit: t.withAuth({ permission: 'manage:rate_limits' }).field({
    type: UpdateRateLimitPayload,
    description: 'Changes a limit from the next request. Earlier usage still counts.',
    args: { input: t.arg({ type: UpdateRateLimitInput, required: true, description: 'The limit and its changes.' }) },
    resolve: async (_root, { input: { id: given, role, ...change } }, { principal, services }) => {
      const id = integerId(given, 'RateLimit', ['input', 'id']);
      return { rateLimit: await services.limits.update(principal, id, role ?? null, change) };
    },
  }),
  deleteRateLimit: t.withAuth({ permission: 'manage:rate_limits' }).field({
    type: DeleteRateLimitPayload,
    description: 'Deletes a limit, which is not enforced from the next request on.',
    args: { input: t.arg({ type: DeleteRateLimitInput, required: true, description: 'The limit to delete.' }) },
    resolve: (_root, { input }, { principal, services }) => {
      const id = integerId(input.id, 'RateLimit', ['input', 'id']);
      return services.limits.delete(principal, id, input.role ?? null);
    },
  }),
}));

const ViewerLimitType = builder.objectRef<ViewerLimit>('ViewerLimit').implement({
  description: 'A limit that applies to the caller.',
  fields: (t) => ({
    scope: t.expose('scope', { type: LimitScopeType, description: 'Which requests the limit counts together.' }),
    requestsPerMinute: t.exposeInt('requestsPerMinute', {
      nullable: true,
      description: `${requestsDescription} ${nullIfUnlimited}`,
    }),
    tokenBudget: t.expose('tokenBudget', {
      type: 'SafeInt',
      nullable: true,
      description: `${budgetDescription} ${nullIfUnlimited}`,
    }),
    periodHours: t.exposeInt('periodHours', {
      nullable: true,
      description: `${periodDescription} Null without a token budget.`,
    }),
    usedTokens: t.expose('usedTokens', {
      type: 'SafeInt',
      nullable: true,
      description:
        'The number of tokens of the budget that are used. Null without a budget, and where the usage of other callers counts too: with the scopes `GLOBAL` and `ROLE`, and for a project token with the scopes of its user.',
    }),
    remainingTokens: t.expose('remainingTokens', {
      type: 'SafeInt',
      nullable: true,
      description: 'The number of tokens that remain of the budget; null if `usedTokens` is null.',
    }),
    resetsAt: t.expose('resetsAt', {
      type: 'DateTime',
      nullable: true,
      description:
        'The time at which the next turn can start; null while the budget allows one, and if `usedTokens` is null.',
    }),
  }),
});

const turnsDescription = 'The number of turns that ended.';
const inputDescription = 'The number of tokens that models read.';
const outputDescription = 'The number of tokens that models wrote.';
const estimatedDescription = 'The number of these tokens that the provider did not report, which were estimated.';

const UsageDay = builder.objectRef<UsageOfDay>('UsageDay').implement({
  description: 'The usage of one model on one day.',
  fields: (t) => ({
    date: t.expose('date', { type: 'DateTime', description: 'The start of the UTC day.' }),
    model: t.exposeString('model', { description: 'The name of the model.' }),
    turns: t.exposeInt('turns', { description: turnsDescription }),
    inputTokens: t.expose('inputTokens', { type: 'SafeInt', description: inputDescription }),
    outputTokens: t.expose('outputTokens', { type: 'SafeInt', description: outputDescription }),
    estimatedTokens: t.expose('estimatedTokens', { type: 'SafeInt', description: estimatedDescription }),
  }),
});

const ViewerUsage = builder.objectRef<object>('ViewerUsage').implement({
  description: 'The usage of the caller and the limits on it.',
  fields: (t) => ({
    limits: t.field({
      type: [ViewerLimitType],
      listSize: 5,
      description: 'The enabled limits that apply to the caller, the narrowest first.',
      resolve: (_usage, _args, { principal, services }) => services.limits.applyingTo(signedIn(principal)),
    }),
    perDay: t.field({
      type: [UsageDay],
      listSize: 100,
      description:
        'The usage of the user on each of the last 30 UTC days, by model, newest first; at most 1000 items. A project token sees its own usage.',
      resolve: (_usage, _args, { principal, services }) => services.usage.perDay(signedIn(principal)),
    }),
  }),
});

builder.objectField(ViewerType, 'usage', (t) =>
  t.field({
    type: ViewerUsage,
    description: 'The usage of the caller and the limits on it. Requires no permission.',
    resolve: () => ({}),
  }),
);

const UsageTotals = builder.objectRef<UsageFigures>('UsageTotals').implement({
  description: 'The totals over all records of a report.',
  fields: (t) => ({
    turns: t.expose('turns', { type: 'SafeInt', description: turnsDescription }),
    inputTokens: t.expose('inputTokens', { type: 'SafeInt', description: inputDescription }),
    outputTokens: t.expose('outputTokens', { type: 'SafeInt', description: outputDescription }),
    estimatedTokens: t.expose('estimatedTokens', { type: 'SafeInt', description: estimatedDescription }),
  }),
});

const UsageRecordType = builder.objectRef<UsageRecord>('UsageRecord').implement({
  description: 'The usage of one model on one day with one credential of a user.',
  fields: (t) => ({
    date: t.expose('date', { type: 'DateTime', description: 'The start of the UTC day.' }),
    user: t.field({
      type: User,
      nullable: true,
      authScopes: { permission: 'read:users' },
      description: 'The user; null for a deleted user, and for a user that the caller cannot read.',
      resolve: ({ userId }, _args, context, info) => userOf(userId, context, info),
    }),
    userDatabaseId: t.expose('userId', {
      type: 'UUID',
      description: 'The UUID of the user, which is kept when the user is deleted.',
    }),
    apiKey: t.field({
      type: ApiKey,
      nullable: true,
      authScopes: { permission: 'manage:api_keys' },
      description: 'The API key or project token; null for other credentials and for a deleted key.',
      resolve: ({ tokenId }, _args, context, info) => apiKeyOf(tokenId, context, info),
    }),
    userCredential: t.field({
      type: UserCredential,
      nullable: true,
      authScopes: { permission: 'manage:users' },
      description:
        'The personal access token, login session or project token; null for other credentials, for one that does not work any more, and if the caller cannot read it.',
      resolve: ({ tokenId }, _args, context, info) => userCredentialOf(tokenId, context, info),
    }),
    tokenDatabaseId: t.exposeInt('tokenId', {
      description: 'The integer ID of the credential, which may be deleted.',
    }),
    model: t.exposeString('model', { description: 'The name of the model.' }),
    turns: t.exposeInt('turns', { description: turnsDescription }),
    inputTokens: t.expose('inputTokens', { type: 'SafeInt', description: inputDescription }),
    outputTokens: t.expose('outputTokens', { type: 'SafeInt', description: outputDescription }),
    estimatedTokens: t.expose('estimatedTokens', { type: 'SafeInt', description: estimatedDescription }),
  }),
});

const UsageReport = builder.objectRef<UsageFilter>('UsageReport').implement({
  description: 'The usage of the whole server.',
  fields: (t) => ({
    records: t.field({
      type: [UsageRecordType],
      listSize: ({ first }) => Math.min(first ?? 100, 1000),
      description: 'The usage by day, user, credential and model, newest day first.',
      args: {
        first: t.arg.int({ description: 'Returns this many records. Defaults to 100; at most 1000.' }),
        offset: t.arg.int({ description: 'Skips this many records. Defaults to 0.' }),
      },
      resolve: (filter, args, { services }) => services.usage.records(filter, args),
    }),
    totals: t.field({
      type: UsageTotals,
      description: 'The totals over all records.',
      resolve: (filter, _args, { services }) => services.usage.totals(filter),
    }),
  }),
});

const UsageFilterInput = builder.inputType('UsageFilter', {
  description: 'Conditions on usage; all that are set must be met.',
  fields: (t) => ({
    userId: t.id({
      description: 'Returns only usage of this user, by the global ID or the UUID. The user may be deleted.',
    }),
    tokenId: t.id({
      description: `Returns only usage with this credential, ${credentialIdDescription}. It may be deleted.`,
    }),
    since: t.field({
      type: 'DateTime',
      description: 'Returns only usage in hours that start at this time or later. Defaults to 30 days before `until`.',
    }),
    until: t.field({
      type: 'DateTime',
      description:
        'Returns only usage in hours that start before this time, at most 366 days after `since`. Defaults to now.',
    }),
  }),
});

builder.queryField('usage', (t) =>
  t.field({
    type: UsageReport,
    authScopes: { permission: 'read:analytics' },
    description: 'The model usage of the whole server.',
    args: { filter: t.arg({ type: UsageFilterInput, description: 'Conditions on the usage.' }) },
    resolve: (_root, { filter }) => ({
      ...filter,
      userId: null,
      tokenId: null,
      ...subjectIds(filter ?? {}, ['filter']),
    }),
  }),
);
