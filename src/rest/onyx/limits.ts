import { z } from '@hono/zod-openapi';
import { notFound, unauthenticated } from '../../errors.ts';
import { type AnyEndpoint, endpoint } from '../endpoint.ts';
import { graphql, type ResultOf } from '../graphql.ts';
import { everything, id, isoDateOrNull, nothing } from '../shapes.ts';
import { defaultGroups } from './tokens.ts';

const tag = 'Limits';

/** The API expresses a budget in thousands of tokens. */
const thousand = 1000;

const LimitDescriptor = graphql(`
  fragment LimitDescriptor on RateLimit @_unmask { databaseId role enabled tokenBudget periodHours requestsPerMinute }
`);
type Limit = ResultOf<typeof LimitDescriptor>;

const Display = z
  .object({
    token_id: z.int().openapi({ description: 'The integer ID of the limit.' }),
    enabled: z.boolean(),
    token_budget: z
      .int()
      .openapi({ description: 'The maximum number of tokens in the period, in thousands, rounded up.' }),
    period_hours: z.int(),
    cost_budget_cents: z
      .number()
      .nullable()
      .openapi({ description: 'Always null, because this server has no price information.' }),
    requests_per_minute: z.int().nullable(),
  })
  .openapi('TokenRateLimitDisplay');

const display = (limit: Limit): z.input<typeof Display> => ({
  token_id: limit.databaseId,
  enabled: limit.enabled,
  token_budget: Math.ceil((limit.tokenBudget ?? 0) / thousand),
  period_hours: limit.periodHours ?? 0,
  cost_budget_cents: null,
  requests_per_minute: limit.requestsPerMinute,
});

/** Returns the token limits, the only kind that these paths support. */
const displays = (limits: readonly Limit[]) => limits.filter(({ tokenBudget }) => tokenBudget !== null).map(display);

const Args = z
  .object({
    enabled: z.boolean(),
    token_budget: z.int().min(1).max(1e9).openapi({
      description:
        'The maximum number of input and output tokens together in the period, in thousands; 1 to 1,000,000,000.',
    }),
    period_hours: z.int().min(1).max(8760),
    cost_budget_cents: z
      .null('budgets in money cannot be enforced, since this server knows no prices; give token_budget')
      .optional()
      .openapi({ description: 'Not supported. Only null is accepted, because this server has no price information.' }),
  })
  .openapi('TokenRateLimitArgs');

const amounts = ({ enabled, token_budget, period_hours }: z.infer<typeof Args>) => ({
  enabled,
  tokenBudget: token_budget * thousand,
  periodHours: period_hours,
});

/** Returns the role of a default group. Throws NOT_FOUND. */
function roleOfGroup(groupId: number) {
  const group = defaultGroups.find((one) => one.id === groupId);
  if (!group) throw notFound('USER_GROUP_NOT_FOUND');
  return group.role;
}

const List = graphql(
  `query ListRateLimits($first: Int!, $filter: RateLimitFilter!) {
    rateLimits(first: $first, filter: $filter) { nodes { ...LimitDescriptor } }
  }`,
  [LimitDescriptor],
);
const Create = graphql(
  `mutation CreateRateLimit($input: CreateRateLimitInput!) {
    createRateLimit(input: $input) { rateLimit { ...LimitDescriptor } }
  }`,
  [LimitDescriptor],
);
const Update = graphql(
  `mutation UpdateRateLimit($input: UpdateRateLimitInput!) {
    updateRateLimit(input: $input) { rateLimit { ...LimitDescriptor } }
  }`,
  [LimitDescriptor],
);
const Delete = graphql(
  `mutation DeleteRateLimit($input: DeleteRateLimitInput!) { deleteRateLimit(input: $input) { deletedRateLimitId } }`,
);

const limitParams = z.object({ token_rate_limit_id: id });
const groupParams = z.object({ group_id: id });
const groupLimitParams = z.object({ group_id: id, token_rate_limit_id: id });

/** Returns the two endpoints for the limits of a scope without a subject. */
const rowsOf = (scope: 'GLOBAL' | 'EACH_USER', path: string, whom: string): AnyEndpoint[] => [
  endpoint({
    method: 'get',
    path,
    tag,
    summary: `List the token budgets ${whom}`,
    reply: z.array(Display),
    document: List,
    variables: () => ({ first: everything, filter: { scope } }),
    output: ({ rateLimits }) => displays(rateLimits.nodes),
  }),
  endpoint({
    method: 'post',
    path,
    tag,
    summary: `Create a token budget ${whom}`,
    body: Args,
    reply: Display,
    document: Create,
    variables: ({ body }) => ({ input: { subject: { scope }, ...amounts(body) } }),
    output: ({ createRateLimit }) => display(createRateLimit.rateLimit),
  }),
];

const Usage = graphql(`
  query UserUsage {
    viewer {
      usage {
        limits { scope requestsPerMinute tokenBudget periodHours usedTokens remainingTokens resetsAt }
        perDay { date model turns inputTokens outputTokens estimatedTokens }
      }
    }
  }
`);

const tokens = z.int().min(0);

export const limitEndpoints: AnyEndpoint[] = [
  ...rowsOf('GLOBAL', '/admin/token-rate-limits/global', 'of the whole server'),
  ...rowsOf('EACH_USER', '/admin/token-rate-limits/users', 'of each user'),
  endpoint({
    method: 'put',
    path: '/admin/token-rate-limits/rate-limit/{token_rate_limit_id}',
    tag,
    summary: 'Change a token budget',
    params: limitParams,
    body: Args,
    reply: Display,
    document: Update,
    variables: ({ params, body }) => ({ input: { id: String(params.token_rate_limit_id), ...amounts(body) } }),
    output: ({ updateRateLimit }) => display(updateRateLimit.rateLimit),
  }),
  endpoint({
    method: 'delete',
    path: '/admin/token-rate-limits/rate-limit/{token_rate_limit_id}',
    tag,
    summary: 'Delete a limit of any scope',
    params: limitParams,
    reply: nothing,
    document: Delete,
    variables: ({ params }) => ({ input: { id: String(params.token_rate_limit_id) } }),
    output: () => null,
  }),
  endpoint({
    method: 'get',
    path: '/admin/token-rate-limits/user-groups',
    tag,
    summary: 'List the token budgets of the groups, by group name',
    reply: z.record(z.string(), z.array(Display)),
    document: List,
    variables: () => ({ first: everything, filter: { scope: 'ROLE' as const } }),
    output: ({ rateLimits }) =>
      Object.fromEntries(
        defaultGroups
          .map(({ name, role }) => [name, displays(rateLimits.nodes.filter((limit) => limit.role === role))] as const)
          .filter(([, limits]) => limits.length > 0),
      ),
  }),
  endpoint({
    method: 'get',
    path: '/admin/token-rate-limits/user-group/{group_id}',
    tag,
    summary: 'List the token budgets of a group',
    params: groupParams,
    reply: z.array(Display),
    document: List,
    variables: ({ params }) => ({
      first: everything,
      filter: { scope: 'ROLE' as const, role: roleOfGroup(params.group_id) },
    }),
    output: ({ rateLimits }) => displays(rateLimits.nodes),
  }),
  endpoint({
    method: 'post',
    path: '/admin/token-rate-limits/user-group/{group_id}',
    tag,
    summary: 'Create a token budget of a group',
    params: groupParams,
    body: Args,
    reply: Display,
    document: Create,
    variables: ({ params, body }) => ({
      input: { subject: { role: roleOfGroup(params.group_id) }, ...amounts(body) },
    }),
    output: ({ createRateLimit }) => display(createRateLimit.rateLimit),
  }),
  endpoint({
    method: 'put',
    path: '/admin/token-rate-limits/user-group/{group_id}/rate-limit/{token_rate_limit_id}',
    tag,
    summary: 'Change a token budget of a group',
    params: groupLimitParams,
    body: Args,
    reply: Display,
    document: Update,
    variables: ({ params, body }) => ({
      input: { id: String(params.token_rate_limit_id), role: roleOfGroup(params.group_id), ...amounts(body) },
    }),
    output: ({ updateRateLimit }) => display(updateRateLimit.rateLimit),
  }),
  endpoint({
    method: 'delete',
    path: '/admin/token-rate-limits/user-group/{group_id}/rate-limit/{token_rate_limit_id}',
    tag,
    summary: 'Delete a limit of a group',
    params: groupLimitParams,
    reply: nothing,
    document: Delete,
    variables: ({ params }) => ({
      input: { id: String(params.token_rate_limit_id), role: roleOfGroup(params.group_id) },
    }),
    output: () => null,
  }),
  endpoint({
    method: 'get',
    path: '/user/usage',
    tag,
    summary: 'Get the caller’s token usage and limits',
    reply: z
      .object({
        per_day_by_model: z.array(
          z.object({
            day: z.iso.date(),
            model: z.string(),
            turns: z.int(),
            input_tokens: tokens,
            output_tokens: tokens,
            estimated_tokens: tokens,
            cache_read_tokens: tokens.openapi({
              description: 'Always 0, because `input_tokens` includes these tokens.',
            }),
            cost_cents: z.number().openapi({ description: 'Always 0, because this server has no price information.' }),
          }),
        ),
        window_cost_cents: z
          .number()
          .openapi({ description: 'Always 0, because this server has no price information.' }),
        budget_cents: z
          .number()
          .nullable()
          .openapi({ description: 'Always null, because this server has no budgets in money.' }),
        budget_remaining_cents: z.number().nullable().openapi({ description: 'This server always returns null.' }),
        budget_period_hours: z.int().nullable().openapi({ description: 'This server always returns null.' }),
        selected_model_price: z
          .object({
            model: z.string(),
            provider: z.string().nullable(),
            input_per_mtok: z.number().nullable(),
            output_per_mtok: z.number().nullable(),
          })
          .nullable()
          .openapi({ description: 'Always null, because this server has no price information.' }),
        limits: z.array(
          z.object({
            scope: z.enum(['GLOBAL', 'EACH_USER', 'EACH_TOKEN', 'ROLE', 'USER', 'TOKEN']),
            requests_per_minute: z.int().nullable(),
            token_budget: tokens.nullable().openapi({
              description:
                'The maximum number of tokens in the period, in single tokens rather than thousands; null for a limit without a token budget.',
            }),
            period_hours: z.int().nullable(),
            used_tokens: tokens.nullable(),
            remaining_tokens: tokens.nullable(),
            resets_at: isoDateOrNull,
          }),
        ),
      })
      .openapi('UserUsage'),
    document: Usage,
    signedIn: true,
    variables: () => ({}),
    output: ({ viewer }) => {
      if (!viewer) throw unauthenticated();
      const { limits, perDay } = viewer.usage;
      return {
        per_day_by_model: perDay.map((day) => ({
          day: day.date.toISOString().slice(0, 10),
          model: day.model,
          turns: day.turns,
          input_tokens: day.inputTokens,
          output_tokens: day.outputTokens,
          estimated_tokens: day.estimatedTokens,
          cache_read_tokens: 0,
          cost_cents: 0,
        })),
        window_cost_cents: 0,
        budget_cents: null,
        budget_remaining_cents: null,
        budget_period_hours: null,
        selected_model_price: null,
        limits: limits.map((limit) => ({
          scope: limit.scope,
          requests_per_minute: limit.requestsPerMinute,
          token_budget: limit.tokenBudget,
          period_hours: limit.periodHours,
          used_tokens: limit.usedTokens,
          remaining_tokens: limit.remainingTokens,
          resets_at: limit.resetsAt,
        })),
      };
    },
  }),
];
