import { signedIn } from '../../authz/principal.ts';
import { builder } from '../../graphql/builder.ts';
import { clearField } from '../../graphql/clear-input.ts';
import { connection, nodeQuery, pageArgs } from '../../graphql/connection.ts';
import { integerIds, nodeRule } from '../../graphql/nodes.ts';
import { referenceDescription, referencedId } from '../../graphql/reference.ts';
import { RoleType } from '../users/permissions.graphql.ts';
import { ViewerType } from '../users/viewer.graphql.ts';
import { limitScopes, rateLimitOrder, type ViewerLimit } from './limits.service.ts';
import type { UsageFigures, UsageFilter, UsageOfDay, UsageRecord } from './usage.service.ts';

const LimitScopeType = builder.enumType('LimitScope', {
  description: 'Whom a limit counts together.',
  values: Object.fromEntries(
    limitScopes.map((scope) => [
      scope,
      {
        description: {
          GLOBAL: 'Everybody.',
          EACH_USER: 'Each user apart.',
          EACH_TOKEN: 'Each credential apart.',
          ROLE: 'All users of one role.',
          USER: 'One user, whatever the credential.',
          TOKEN: 'One credential.',
        }[scope],
      },
    ]),
  ) as Record<(typeof limitScopes)[number], { description: string }>,
});

const requestsDescription = 'Maximum number of requests in a minute, 1 to 1000000.';
const budgetDescription =
  'Maximum number of model tokens in the period, input and output together, 1 to 1000000000000. A turn that has begun is not cut off.';
const nullIfUnlimited = 'Null if unlimited.';
const periodDescription =
  'The length of the period in hours, 1 to 8760. It ends now, and begins with the whole hour that lies so far back.';

export const RateLimit = builder.prismaNode('RateLimit', {
  id: { field: 'id', description: 'The global id.' },
  nullable: true,
  description: 'How many requests, or model tokens, those whom it counts together may use.',
  fields: (t) => ({
    databaseId: t.exposeInt('id', { description: 'The integer id that the REST paths use.' }),
    scope: t.expose('scope', { type: LimitScopeType, description: 'Whom it counts together.' }),
    role: t.expose('role', { type: RoleType, nullable: true, description: 'With the scope ROLE: the role.' }),
    userId: t.expose('userId', { type: 'UUID', nullable: true, description: 'With the scope USER: the user.' }),
    tokenId: t.exposeInt('tokenId', {
      nullable: true,
      description: 'With the scope TOKEN: the integer id of the credential.',
    }),
    enabled: t.exposeBoolean('enabled', { description: 'Whether it limits anybody for now.' }),
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
    periodHours: t.exposeInt('periodHours', { nullable: true, description: periodDescription }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it was last changed.' }),
  }),
});

nodeRule('RateLimit', {
  permission: 'manage:rate_limits',
  readable: ({ prisma }, _principal, ids) =>
    prisma.rateLimit.findMany({ where: { id: { in: integerIds(ids) } }, select: { id: true } }),
});

const RateLimitConnection = builder.connectionObject(
  { type: RateLimit, name: 'RateLimitConnection', description: 'A page of limits.' },
  { name: 'RateLimitEdge', description: 'A limit and its place in the list.' },
);

const RateLimitFilterInput = builder.inputType('RateLimitFilter', {
  description: 'Which limits. Everything that is given must fit.',
  fields: (t) => ({
    scope: t.field({ type: LimitScopeType, description: 'Of this scope.' }),
    role: t.field({ type: RoleType, description: 'Of this role.' }),
    userId: t.field({ type: 'UUID', description: 'Of this user, by the scope USER.' }),
    tokenId: t.int({ description: 'Of the credential with this integer id, by the scope TOKEN.' }),
  }),
});

type InputFields = Parameters<NonNullable<Parameters<typeof builder.inputType>[1]['fields']>>[0];
const amounts = (t: InputFields) => ({
  requestsPerMinute: t.int({ description: requestsDescription }),
  tokenBudget: t.field({ type: 'SafeInt', description: `${budgetDescription} Together with \`periodHours\`.` }),
  periodHours: t.int({ description: `${periodDescription} Together with \`tokenBudget\`.` }),
});
const reference = (t: InputFields) => ({
  id: t.globalID({ description: referenceDescription.id }),
  databaseId: t.int({ description: referenceDescription.databaseId }),
  role: t.field({ type: RoleType, description: 'Asks for a limit of this role: any other one is NOT_FOUND.' }),
});

const CreateRateLimitInput = builder.inputType('CreateRateLimitInput', {
  description: 'What a new limit is to be: at least requests per minute, or a budget with its period.',
  fields: (t) => ({
    scope: t.field({ type: LimitScopeType, required: true, description: 'Whom it counts together.' }),
    role: t.field({ type: RoleType, description: 'The role; with the scope ROLE, and only there.' }),
    userId: t.field({ type: 'UUID', description: 'The user; with the scope USER, and only there.' }),
    tokenId: t.int({
      description: 'The integer id of the credential; with the scope TOKEN, and only there.',
    }),
    enabled: t.boolean({ description: 'Whether it limits anybody; true unless given.' }),
    ...amounts(t),
  }),
});

const clearRateLimit = clearField('ClearableRateLimitField', {
  requestsPerMinute: 'Lifts the limit on requests.',
  tokenBudget: 'Lifts the token budget, together with its period.',
});

const UpdateRateLimitInput = builder.inputType('UpdateRateLimitInput', {
  description:
    'Input for `updateRateLimit`. A field that is null or absent stays unchanged. The scope of a limit cannot be changed.',
  fields: (t) => ({
    ...reference(t),
    enabled: t.boolean({ description: 'If false, turns the limit off; if true, turns it on again.' }),
    ...amounts(t),
    clear: clearRateLimit(t),
  }),
});

const DeleteRateLimitInput = builder.inputType('DeleteRateLimitInput', {
  description: 'Which limit is deleted.',
  fields: reference,
});

interface LimitPayload {
  rateLimit: typeof RateLimit.$inferType;
}

const CreateRateLimitPayload = builder.objectRef<LimitPayload>('CreateRateLimitPayload').implement({
  description: 'What `createRateLimit` made.',
  fields: (t) => ({
    rateLimit: t.field({ type: RateLimit, description: 'The limit.', resolve: ({ rateLimit }) => rateLimit }),
  }),
});

const UpdateRateLimitPayload = builder.objectRef<LimitPayload>('UpdateRateLimitPayload').implement({
  description: 'What `updateRateLimit` changed.',
  fields: (t) => ({
    rateLimit: t.field({
      type: RateLimit,
      description: 'The limit as it is now.',
      resolve: ({ rateLimit }) => rateLimit,
    }),
  }),
});

const DeleteRateLimitPayload = builder.objectRef<{ id: number }>('DeleteRateLimitPayload').implement({
  description: 'What `deleteRateLimit` deleted.',
  fields: (t) => ({ deletedDatabaseId: t.exposeInt('id', { description: 'The integer id that the limit had.' }) }),
});

builder.queryField('rateLimits', (t) =>
  t.field({
    type: RateLimitConnection,
    authScopes: { permission: 'manage:rate_limits' },
    description: 'All limits, oldest first.',
    args: { ...pageArgs(t.arg), filter: t.arg({ type: RateLimitFilterInput, description: 'Which limits.' }) },
    resolve: async (_root, { filter, ...args }, context, info) => {
      const { limits } = context.services;
      const page = await limits.list(filter ?? {}, args, context.pageLimit, nodeQuery(context, info));
      return connection(rateLimitOrder, page, args, () => limits.count(filter ?? {}));
    },
  }),
);

builder.mutationFields((t) => ({
  createRateLimit: t.field({
    type: CreateRateLimitPayload,
    authScopes: { permission: 'manage:rate_limits' },
    description: 'Sets a limit, on anybody. It holds from the next request. At most 100 of one scope and subject.',
    args: { input: t.arg({ type: CreateRateLimitInput, required: true, description: 'The limit to set.' }) },
    resolve: async (_root, { input }, { principal, services }) => ({
      rateLimit: await services.limits.create(signedIn(principal), input),
    }),
  }),
  updateRateLimit: t.field({
    type: UpdateRateLimitPayload,
    authScopes: { permission: 'manage:rate_limits' },
    description: 'Changes a limit. It holds from the next request; what was used already goes on counting.',
    args: { input: t.arg({ type: UpdateRateLimitInput, required: true, description: 'The change.' }) },
    resolve: async (_root, { input: { id, databaseId, role, ...change } }, { principal, services }) => ({
      rateLimit: await services.limits.update(
        signedIn(principal),
        referencedId({ id, databaseId }, 'RateLimit'),
        role ?? null,
        change,
      ),
    }),
  }),
  deleteRateLimit: t.field({
    type: DeleteRateLimitPayload,
    authScopes: { permission: 'manage:rate_limits' },
    description: 'Lifts a limit, from the next request on.',
    args: { input: t.arg({ type: DeleteRateLimitInput, required: true, description: 'The limit.' }) },
    resolve: (_root, { input }, { principal, services }) =>
      services.limits.delete(signedIn(principal), referencedId(input, 'RateLimit'), input.role ?? null),
  }),
}));

const ViewerLimitType = builder.objectRef<ViewerLimit>('ViewerLimit').implement({
  description: 'A limit that applies to the caller.',
  fields: (t) => ({
    scope: t.expose('scope', { type: LimitScopeType, description: 'Whom it counts together.' }),
    requestsPerMinute: t.exposeInt('requestsPerMinute', {
      nullable: true,
      description: `${requestsDescription} ${nullIfUnlimited}`,
    }),
    tokenBudget: t.expose('tokenBudget', {
      type: 'SafeInt',
      nullable: true,
      description: `${budgetDescription} ${nullIfUnlimited}`,
    }),
    periodHours: t.exposeInt('periodHours', { nullable: true, description: periodDescription }),
    usedTokens: t.expose('usedTokens', {
      type: 'SafeInt',
      nullable: true,
      description:
        'What was used of the budget; null without one, and where more counts than one’s own: with the scopes GLOBAL and ROLE, and for a project’s token with those of its user.',
    }),
    remainingTokens: t.expose('remainingTokens', {
      type: 'SafeInt',
      nullable: true,
      description: 'What is left of the budget; null where `usedTokens` is.',
    }),
    resetsAt: t.expose('resetsAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When a turn can begin again; null while the budget allows one, and where `usedTokens` is null.',
    }),
  }),
});

const turnsDescription = 'How many turns ended.';
const inputDescription = 'Tokens that models read.';
const outputDescription = 'Tokens that models wrote.';
const estimatedDescription = 'How many of these tokens the provider did not report, and were estimated.';

const UsageDay = builder.objectRef<UsageOfDay>('UsageDay').implement({
  description: 'What one model was used for on one day.',
  fields: (t) => ({
    date: t.expose('date', { type: 'DateTime', description: 'The UTC day, by its beginning.' }),
    model: t.exposeString('model', { description: 'The model.' }),
    turns: t.exposeInt('turns', { description: turnsDescription }),
    inputTokens: t.expose('inputTokens', { type: 'SafeInt', description: inputDescription }),
    outputTokens: t.expose('outputTokens', { type: 'SafeInt', description: outputDescription }),
    estimatedTokens: t.expose('estimatedTokens', { type: 'SafeInt', description: estimatedDescription }),
  }),
});

const ViewerUsage = builder.objectRef<object>('ViewerUsage').implement({
  description: 'What the caller has used, and may use.',
  fields: (t) => ({
    limits: t.field({
      type: [ViewerLimitType],
      listSize: 5,
      description: 'The limits that apply to the caller, the narrowest first.',
      resolve: (_usage, _args, { principal, services }) => services.limits.applyingTo(signedIn(principal)),
    }),
    perDay: t.field({
      type: [UsageDay],
      listSize: 100,
      description:
        'What the user used on each of the last 30 UTC days, by model, newest first. A project’s token sees its own use.',
      resolve: (_usage, _args, { principal, services }) => services.usage.perDay(signedIn(principal)),
    }),
  }),
});

builder.objectField(ViewerType, 'usage', (t) =>
  t.field({
    type: ViewerUsage,
    description: 'What the caller has used, and may use. It is one’s own, and needs no permission.',
    resolve: () => ({}),
  }),
);

const UsageTotals = builder.objectRef<UsageFigures>('UsageTotals').implement({
  description: 'Sums over all records of a report.',
  fields: (t) => ({
    turns: t.expose('turns', { type: 'SafeInt', description: turnsDescription }),
    inputTokens: t.expose('inputTokens', { type: 'SafeInt', description: inputDescription }),
    outputTokens: t.expose('outputTokens', { type: 'SafeInt', description: outputDescription }),
    estimatedTokens: t.expose('estimatedTokens', { type: 'SafeInt', description: estimatedDescription }),
  }),
});

const UsageRecordType = builder.objectRef<UsageRecord>('UsageRecord').implement({
  description: 'What one credential used one model for on one day.',
  fields: (t) => ({
    date: t.expose('date', { type: 'DateTime', description: 'The UTC day, by its beginning.' }),
    userId: t.expose('userId', { type: 'UUID', description: 'The user, who may be gone.' }),
    tokenId: t.exposeInt('tokenId', { description: 'The integer id of the credential, which may be gone.' }),
    model: t.exposeString('model', { description: 'The model.' }),
    turns: t.exposeInt('turns', { description: turnsDescription }),
    inputTokens: t.expose('inputTokens', { type: 'SafeInt', description: inputDescription }),
    outputTokens: t.expose('outputTokens', { type: 'SafeInt', description: outputDescription }),
    estimatedTokens: t.expose('estimatedTokens', { type: 'SafeInt', description: estimatedDescription }),
  }),
});

const UsageReport = builder.objectRef<UsageFilter>('UsageReport').implement({
  description: 'What the whole server used.',
  fields: (t) => ({
    records: t.field({
      type: [UsageRecordType],
      listSize: ({ first }) => Math.min(first ?? 100, 1000),
      description: 'By day, user, credential and model, newest day first.',
      args: {
        first: t.arg.int({ description: 'How many to return: 100 unless given, at most 1000.' }),
        offset: t.arg.int({ description: 'How many to pass over.' }),
      },
      resolve: (filter, args, { services }) => services.usage.records(filter, args),
    }),
    totals: t.field({
      type: UsageTotals,
      description: 'The sums over all records.',
      resolve: (filter, _args, { services }) => services.usage.totals(filter),
    }),
  }),
});

const UsageFilterInput = builder.inputType('UsageFilter', {
  description: 'Which usage. Everything that is given must fit.',
  fields: (t) => ({
    userId: t.field({ type: 'UUID', description: 'Of this user.' }),
    tokenId: t.int({ description: 'With the credential of this integer id.' }),
    since: t.field({
      type: 'DateTime',
      description: 'In hours that begin at this time or later; 30 days before `until` unless given.',
    }),
    until: t.field({
      type: 'DateTime',
      description: 'In hours that begin before this time; now unless given. At most 366 days after `since`.',
    }),
  }),
});

builder.queryField('usage', (t) =>
  t.field({
    type: UsageReport,
    authScopes: { permission: 'read:analytics' },
    description: 'What the whole server had models do.',
    args: { filter: t.arg({ type: UsageFilterInput, description: 'Which usage.' }) },
    resolve: (_root, { filter }) => filter ?? {},
  }),
);
