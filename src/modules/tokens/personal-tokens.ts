import { z } from 'zod';
import type { Principal } from '../../authz/principal.ts';
import { newSecret, secretColumns } from '../../authz/secret.ts';
import { visible } from '../../authz/visible.ts';
import { conflict, notFound, parse } from '../../errors.ts';
import type { Token } from '../../generated/prisma/client.ts';
import { by } from '../audit/audit.service.ts';
import { grantOf, within } from './grants.ts';
import { endOfDay, expiryOfNew, lifetimeFor } from './lifetime.ts';
import { holdMaker } from './origins.ts';
import type { TokenDeps } from './token-deps.ts';
import { scopeList, tokenName } from './token-input.ts';

const CreatePersonalAccessToken = z.object({
  name: tokenName,
  expiresInDays: z.number().int().min(1).max(3650).nullish(),
  neverExpires: z.boolean().nullish(),
  scopes: scopeList.nullish(),
});

export type CreatePersonalAccessTokenInput = z.input<typeof CreatePersonalAccessToken>;

/** Maximum number of working personal access tokens of one user. */
const maxPersonalTokens = 100;

export const personalTokens = ({ db, audit, revocations }: TokenDeps) => ({
  /**
   * Creates a token that acts as the principal. The token expires no later than the principal's own credential,
   * unless that credential is a login session. Throws BAD_USER_INPUT, FORBIDDEN, and CONFLICT when the user has 100
   * tokens.
   */
  async createPersonalAccessToken(
    principal: Principal,
    input: CreatePersonalAccessTokenInput,
  ): Promise<{ personalAccessToken: Token; secret: string }> {
    const data = parse(CreatePersonalAccessToken, input);
    const grant = within(principal, grantOf(principal.role, data.scopes, null));
    const secret = newSecret('PERSONAL');
    const personalAccessToken = await db.prisma.$transaction(async (transaction) => {
      const creatorTokenIds = await holdMaker(transaction, principal);
      const lifetime = await lifetimeFor(transaction, principal);
      const wanted = data.expiresInDays == null ? null : endOfDay(data.expiresInDays);
      const asked = { expiresAt: wanted, neverExpires: data.neverExpires };
      const expiresAt = expiryOfNew(lifetime, asked, 'expiresInDays');
      const count = await transaction.token.count({ where: visible.personalAccessTokens(principal) });
      if (count >= maxPersonalTokens)
        throw conflict('TOO_MANY_TOKENS', `Too many personal access tokens (limit: ${maxPersonalTokens}).`);
      const token = await transaction.token.create({
        data: {
          ...secretColumns(secret),
          kind: 'PERSONAL',
          name: data.name,
          allScopes: grant.allScopes,
          scopes: grant.scopes,
          expiresAt,
          userId: principal.userId,
          creatorId: principal.userId,
          creatorTokenIds,
        },
      });
      await audit.record(transaction, {
        ...by(principal),
        action: 'personal_access_token.create',
        target: { type: 'PersonalAccessToken', id: token.id },
        detail: { name: token.name, scopes: grant.allScopes ? null : grant.scopes },
      });
      return token;
    });
    return { personalAccessToken, secret };
  },

  /**
   * Revokes an own token. Throws NOT_FOUND for a token that is missing, expired, revoked or belongs to another user.
   */
  async revokePersonalAccessToken(principal: Principal, id: number): Promise<Token> {
    const token = await db.prisma.$transaction(async (transaction) => {
      const where = { ...visible.personalAccessTokens(principal), id };
      const found = await transaction.token.findFirst({ where });
      if (!found) throw notFound('TOKEN_NOT_FOUND');
      const revoked = await transaction.token.update({ where: { id }, data: { revokedAt: new Date() } });
      await audit.record(transaction, {
        ...by(principal),
        action: 'personal_access_token.revoke',
        target: { type: 'PersonalAccessToken', id },
        detail: { name: found.name },
      });
      return revoked;
    });
    await revocations.endToken(id);
    return token;
  },
});
