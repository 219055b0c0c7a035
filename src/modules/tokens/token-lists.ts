import { z } from 'zod';
import { serviceAccountKinds } from '../../authz/credentials.ts';
import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { parse } from '../../errors.ts';
import type { Prisma } from '../../generated/prisma/client.ts';
import { cut, ListOrders, type ListRequest, type SortKey } from '../../paging.ts';
import { containing, databaseId, plainText } from '../../zod-types.ts';
import type { TokenDeps } from './token-deps.ts';

const byId: SortKey = { field: 'id', type: 'int', direction: 'asc' };
const sortKeys = {
  CREATED_AT: [{ field: 'createdAt', type: 'date', direction: 'asc' }, byId],
  EXPIRES_AT: [{ field: 'expiresAt', type: 'date', direction: 'asc', nullable: true }, byId],
  LAST_USED_AT: [{ field: 'lastUsedAt', type: 'date', direction: 'asc', nullable: true }, byId],
  NAME: [{ field: 'name', type: 'text', direction: 'asc', nullable: true }, byId],
} satisfies Record<string, SortKey[]>;
const created = (direction: 'ASC' | 'DESC') => ({ field: 'CREATED_AT', direction }) as const;
export const apiKeyOrders = new ListOrders('apiKeys', sortKeys, created('ASC'));
export const projectTokenOrders = new ListOrders('projectTokens', sortKeys, created('ASC'));
export const personalAccessTokenOrders = new ListOrders('personalAccessTokens', sortKeys, created('DESC'));

const TokenFilter = z.object({
  search: plainText(500).nullish(),
  disabled: z.boolean().nullish(),
  projectId: databaseId.nullish(),
  kinds: z.array(z.enum(serviceAccountKinds)).max(100).nullish(),
});
export type TokenFilter = z.input<typeof TokenFilter>;

/** Throws BAD_USER_INPUT. */
function matching(filter: TokenFilter | null | undefined): Prisma.TokenWhereInput {
  const { search, disabled, projectId, kinds } = parse(TokenFilter, filter ?? {}, ['filter']);
  return {
    ...(search && { nameForm: containing(search) }),
    ...(disabled != null && { disabledAt: disabled ? { not: null } : null }),
    ...(projectId != null && { projectId }),
    ...(kinds && { kind: { in: kinds } }),
  };
}

export function tokenLists({ db }: Pick<TokenDeps, 'db'>) {
  async function list(
    visibleTokens: Prisma.TokenWhereInput,
    filter: TokenFilter | null | undefined,
    request: ListRequest,
  ) {
    const page = request.order.page(request.args, request.limit);
    const where = { AND: [visibleTokens, matching(filter), page.where] };
    return cut(await db.prisma.token.findMany({ ...request.query, ...page, where }), page);
  }
  const count = (visibleTokens: Prisma.TokenWhereInput, filter: TokenFilter | null | undefined) =>
    db.prisma.token.count({ where: { AND: [visibleTokens, matching(filter)] } });

  return {
    /** Returns a page of all keys that match the filter. */
    listApiKeys: (filter: TokenFilter, request: ListRequest) => list(visible.apiKeys(), filter, request),
    countApiKeys: (filter: TokenFilter) => count(visible.apiKeys(), filter),

    /** Returns a page of the tokens of the projects that the principal owns. */
    listProjectTokens: (principal: Principal, filter: TokenFilter, request: ListRequest) =>
      list(visible.projectTokens(principal), filter, request),
    countProjectTokens: (principal: Principal, filter: TokenFilter) => count(visible.projectTokens(principal), filter),

    /** Returns a page of the principal's own working tokens. */
    listPersonalAccessTokens: (principal: Principal, filter: TokenFilter | null | undefined, request: ListRequest) =>
      list(visible.personalAccessTokens(principal), filter, request),
    countPersonalAccessTokens: (principal: Principal, filter?: TokenFilter | null) =>
      count(visible.personalAccessTokens(principal), filter),
  };
}
