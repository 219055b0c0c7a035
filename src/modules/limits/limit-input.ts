import { z } from 'zod';
import { roles } from '../../authz/permissions.ts';
import { badInput } from '../../errors.ts';
import { databaseId } from '../../zod-types.ts';
import { clearList } from '../changes.ts';
import { limitScopes } from './limit-scopes.ts';

const amounts = {
  requestsPerMinute: z.number().int().min(1).max(1_000_000).nullish(),
  tokenBudget: z.number().int().min(1).max(1e12).nullish(),
  periodHours: z.number().int().min(1).max(8760).nullish(),
};
const subject = {
  role: z.enum(roles).nullish(),
  userId: z.uuid().nullish(),
  tokenId: databaseId.nullish(),
};

export const CreateRateLimit = z.object({
  scope: z.enum(limitScopes),
  ...subject,
  enabled: z.boolean().nullish(),
  ...amounts,
});
export const UpdateRateLimit = z.object({
  enabled: z.boolean().nullish(),
  ...amounts,
  clear: clearList(['requestsPerMinute', 'tokenBudget']),
});
export const RateLimitFilter = z.object({ scope: z.enum(limitScopes).nullish(), ...subject });

export type CreateRateLimitInput = z.input<typeof CreateRateLimit>;
export type UpdateRateLimitInput = z.input<typeof UpdateRateLimit>;
export type RateLimitFilter = z.input<typeof RateLimitFilter>;

/** Throws BAD_USER_INPUT unless a limit has an amount, and a budget its period. */
export function checkAmounts({ requestsPerMinute, tokenBudget, periodHours }: z.input<z.ZodObject<typeof amounts>>) {
  if (tokenBudget == null && periodHours != null)
    throw badInput(['input', 'tokenBudget'], 'is required when `periodHours` is set');
  if (tokenBudget != null && periodHours == null)
    throw badInput(['input', 'periodHours'], 'is required when `tokenBudget` is set');
  if (requestsPerMinute == null && tokenBudget == null)
    throw badInput(['input', 'requestsPerMinute'], 'is required unless `tokenBudget` and `periodHours` are set');
}
