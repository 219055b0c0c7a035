import { z } from 'zod';
import { serviceAccountKinds } from '../../authz/credentials.ts';
import { roles } from '../../authz/permissions.ts';
import type { Principal } from '../../authz/principal.ts';
import { newSecret } from '../../authz/secret.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, conflict, notFound, parse } from '../../errors.ts';
import type { Prisma } from '../../generated/prisma/client.ts';
import { databaseId } from '../../zod-types.ts';
import { by } from '../audit/audit.service.ts';
import { type ApiKeyRow, insertApiKey, summary } from './api-keys.ts';
import { grantOf, within } from './grants.ts';
import { expiryOfNew, lifetimeFor } from './lifetime.ts';
import { holdMaker } from './origins.ts';
import type { TokenDeps } from './token-deps.ts';
import { expiry, scopeList, tokenName } from './token-input.ts';

const CreateApiKey = z.object({
  name: tokenName.nullish(),
  kind: z.enum(serviceAccountKinds).default('API_KEY'),
  role: z.enum(roles).default('BASIC'),
  scopes: scopeList.nullish(),
  projectId: databaseId.nullish(),
  expiresAt: expiry.nullish(),
  neverExpires: z.boolean().nullish(),
});
const CreateProjectToken = CreateApiKey.omit({ kind: true }).extend({ projectId: databaseId });
export type CreateApiKeyInput = z.input<typeof CreateApiKey>;
export type CreateProjectTokenInput = z.input<typeof CreateProjectToken>;

/** A key with its secret, which is returned only once. */
interface CreatedKey {
  apiKey: ApiKeyRow;
  secret: string;
}

/** Maximum number of tokens of one project. */
const maxProjectTokens = 100;

/**
 * Locks a project of the principal against deletion, and against concurrent creations that would exceed its limit.
 */
async function claimProject(transaction: Prisma.TransactionClient, principal: Principal, id: number, missing: Error) {
  await transaction.$queryRaw`SELECT 1 FROM "Project" WHERE "id" = ${id} FOR UPDATE`;
  const where = { AND: [visible.projects(principal), { id }] };
  if ((await transaction.project.count({ where })) === 0) throw missing;
  if ((await transaction.token.count({ where: { kind: 'PROJECT', projectId: id } })) >= maxProjectTokens)
    throw conflict('TOO_MANY_TOKENS', `Too many project tokens (limit: ${maxProjectTokens}).`);
}

export function keyCreation({ db, audit }: TokenDeps) {
  async function create(
    principal: Principal,
    data: z.output<typeof CreateApiKey>,
    missing: Error,
  ): Promise<CreatedKey> {
    const projectId = data.projectId ?? null;
    const kind = projectId === null ? data.kind : 'PROJECT';
    const grant = within(principal, grantOf(data.role, data.scopes, projectId));
    const secret = newSecret(kind);
    const apiKey = await db.prisma.$transaction(async (transaction) => {
      const creatorTokenIds = await holdMaker(transaction, principal);
      const expiresAt = expiryOfNew(await lifetimeFor(transaction, principal), data);
      if (projectId !== null) await claimProject(transaction, principal, projectId, missing);
      const key = await insertApiKey(transaction, secret, {
        ...grant,
        kind,
        name: data.name ?? null,
        expiresAt,
        creatorId: principal.userId,
        creatorTokenIds,
      });
      await audit.record(transaction, {
        ...by(principal),
        action: 'api_key.create',
        target: { type: 'ApiKey', id: key.id },
        detail: { kind, ...summary(key) },
      });
      return key;
    });
    return { apiKey, secret };
  }

  return {
    /**
     * Creates a service account and its key, restricted to a project when one is given. Throws BAD_USER_INPUT,
     * FORBIDDEN, CONFLICT when the project has 100 tokens.
     */
    createApiKey(principal: Principal, input: CreateApiKeyInput): Promise<CreatedKey> {
      const data = parse(CreateApiKey, input);
      const confined = data.projectId != null;
      if (confined && input.kind !== undefined && data.kind !== 'PROJECT')
        throw badInput(['input', 'kind'], 'must be PROJECT when `projectId` is set');
      if (!confined && data.kind === 'PROJECT')
        throw badInput(['input', 'projectId'], 'is required for a project token');
      return create(principal, data, badInput(['input', 'projectId'], 'must be one of your projects'));
    },

    /** Creates a token for an own project. Throws NOT_FOUND for a project of another user. */
    createProjectToken(principal: Principal, input: CreateProjectTokenInput): Promise<CreatedKey> {
      return create(principal, { ...parse(CreateProjectToken, input), kind: 'API_KEY' }, notFound('PROJECT_NOT_FOUND'));
    },
  };
}
