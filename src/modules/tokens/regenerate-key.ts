import { z } from 'zod';
import type { Principal } from '../../authz/principal.ts';
import { newSecret, secretColumns } from '../../authz/secret.ts';
import { denied, parse } from '../../errors.ts';
import { by } from '../audit/audit.service.ts';
import { lockUser } from '../users/users.service.ts';
import { type ApiKeyRow, allKeys, findKey, grantHeldBy, keyKind, ownProjects, type Sphere } from './api-keys.ts';
import { within } from './grants.ts';
import { endOfMaker } from './lifetime.ts';
import { checkCurrent, type EndedCredentials, publishEnd, revokeDerived } from './origins.ts';
import type { TokenDeps } from './token-deps.ts';

/** A week: long enough for a rollout, short enough to limit the use of a leaked secret. */
const maxOverlapMinutes = 7 * 24 * 60;
const RegenerateApiKey = z.object({
  overlapMinutes: z
    .number()
    .int('must be a whole number')
    .min(0, `must be 0 to ${maxOverlapMinutes}`)
    .max(maxOverlapMinutes, `must be 0 to ${maxOverlapMinutes}`)
    .nullish(),
  keepDerivedCredentials: z.boolean().nullish(),
});
export type RegenerateApiKeyInput = z.input<typeof RegenerateApiKey>;

/** A key with its new secret, and the number of credentials that the regeneration revoked. */
export interface RegeneratedKey {
  apiKey: ApiKeyRow;
  secret: string;
  revokedCount: number;
}

/**
 * Throws FORBIDDEN when a key is valid for longer than the credential that regenerates it, because the caller would
 * receive the new secret of the longer-lived key.
 */
function checkOutlives(principal: Principal, { id, expiresAt }: ApiKeyRow): void {
  const end = endOfMaker(principal);
  if (end === null || id === principal.credential.tokenId || (expiresAt && expiresAt <= end)) return;
  throw denied(
    'CREDENTIAL_EXPIRES_EARLIER',
    `A credential that expires at ${end.toISOString()} cannot regenerate a key that is valid for longer.`,
  );
}

export function keyRegeneration({ db, audit, users, revocations }: TokenDeps) {
  async function regenerate(
    principal: Principal,
    sphere: Sphere,
    id: number,
    input: RegenerateApiKeyInput,
  ): Promise<RegeneratedKey> {
    const given = parse(RegenerateApiKey, input);
    const overlapMinutes = given.overlapMinutes ?? 0;
    const previousExpiresAt = overlapMinutes > 0 ? new Date(Date.now() + overlapMinutes * 60_000) : null;
    const { apiKey, secret, ended } = await db.prisma.$transaction(async (transaction) => {
      await users.lockAdmins(transaction);
      await checkCurrent(transaction, principal);
      const found = await findKey(transaction, sphere, id);
      // Waits for a credential that the key is creating concurrently: it is either committed before the search for
      // derived credentials or not created at all.
      await lockUser(transaction, found.userId);
      const before = await findKey(transaction, sphere, id);
      within(principal, grantHeldBy(before));
      checkOutlives(principal, before);
      const secret = newSecret(keyKind(before.kind));
      const apiKey = await transaction.token.update({
        where: { id },
        data: {
          ...secretColumns(secret),
          previousHash: previousExpiresAt && before.hash,
          previousExpiresAt,
          secretVersion: { increment: 1 },
        },
        include: { user: true },
      });
      const ended: EndedCredentials = given.keepDerivedCredentials
        ? { tokenIds: [], keyUserIds: [] }
        : await revokeDerived(transaction, users, id);
      await audit.record(transaction, {
        ...by(principal),
        action: 'api_key.regenerate',
        target: { type: 'ApiKey', id },
        detail: { overlapMinutes, revokedTokenIds: ended.tokenIds },
      });
      return { apiKey, secret, ended };
    });
    await revocations.endToken(id, previousExpiresAt ?? undefined);
    await publishEnd(revocations, ended);
    return { apiKey, secret, revokedCount: ended.tokenIds.length };
  }

  return {
    /**
     * Gives a key a new secret. The old secret stops working immediately, or after `overlapMinutes`. Revokes the
     * credentials that the key has created, unless `keepDerivedCredentials` is set. Throws NOT_FOUND, CONFLICT when no
     * administrator would remain, and FORBIDDEN for a key that has more permissions, or is valid for longer, than the
     * principal's credential.
     */
    regenerateApiKey: (principal: Principal, id: number, input: RegenerateApiKeyInput = {}) =>
      regenerate(principal, allKeys, id, input),
    regenerateProjectToken: (principal: Principal, id: number, input: RegenerateApiKeyInput) =>
      regenerate(principal, ownProjects(principal), id, input),
  };
}
