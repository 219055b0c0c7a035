import { z } from 'zod';
import { roles } from '../../authz/permissions.ts';
import type { Principal } from '../../authz/principal.ts';
import { badInput, parse } from '../../errors.ts';
import { by } from '../audit/audit.service.ts';
import { changesOf, clearList } from '../changes.ts';
import { lockUser } from '../users/users.service.ts';
import {
  allKeys,
  findKey,
  grantHeldBy,
  ownProjects,
  type Sphere,
  serviceAccountEmail,
  summary,
  unnamed,
} from './api-keys.ts';
import { grantOf, narrowed, permissionsOf, within } from './grants.ts';
import { checkedExpiry, lifetimeFor } from './lifetime.ts';
import { checkCurrent } from './origins.ts';
import type { TokenDeps } from './token-deps.ts';
import { expiry, scopeList, tokenName } from './token-input.ts';

const UpdateApiKey = z.object({
  name: tokenName.nullish(),
  role: z.enum(roles).nullish(),
  scopes: scopeList.nullish(),
  allScopes: z.boolean().nullish(),
  expiresAt: expiry.nullish(),
  neverExpires: z.boolean().nullish(),
  disabled: z.boolean().nullish(),
  clear: clearList(['name']),
});
export type UpdateApiKeyInput = z.input<typeof UpdateApiKey>;

export function keyUpdates({ db, audit, users, revocations }: TokenDeps) {
  async function update(principal: Principal, sphere: Sphere, id: number, input: UpdateApiKeyInput) {
    const { allScopes, neverExpires, ...data } = changesOf(parse(UpdateApiKey, input));
    if (allScopes && data.scopes) throw badInput(['input', 'allScopes'], 'cannot be combined with `scopes`');
    const { before, after } = await db.prisma.$transaction(async (transaction) => {
      await users.lockAdmins(transaction);
      await checkCurrent(transaction, principal);
      const before = await findKey(transaction, sphere, id);
      const held = grantHeldBy(before);
      within(principal, held);
      const lifetime = await lifetimeFor(transaction, principal);
      const expiresAt = checkedExpiry(lifetime, { expiresAt: data.expiresAt, neverExpires });
      const role = data.role ?? held.role;
      const keepsScopes = data.scopes === undefined && !allScopes && role === held.role;
      const wanted = allScopes ? null : (data.scopes ?? narrowed(held, role));
      const grant = keepsScopes ? held : within(principal, grantOf(role, wanted, held.projectId));
      const name = data.name === undefined ? before.name : data.name;
      const disabledAt =
        data.disabled === undefined ? before.disabledAt : data.disabled ? (before.disabledAt ?? new Date()) : null;
      const loses = held.role === 'ADMIN' && (role !== 'ADMIN' || disabledAt !== null || !grant.allScopes);
      if (loses) await users.keepAnAdmin(transaction, before.userId);
      await lockUser(transaction, before.userId);
      const after = await transaction.token.update({
        where: { id },
        data: {
          name,
          allScopes: grant.allScopes,
          scopes: grant.scopes,
          disabledAt,
          ...(expiresAt !== undefined && { expiresAt }),
          user: {
            // Disabling a key also disables the tokens that its user created.
            update: {
              name: name ?? unnamed,
              email: serviceAccountEmail(name, before.userId),
              role,
              ...(data.disabled !== undefined && { active: !data.disabled }),
            },
          },
        },
        include: { user: true },
      });
      await audit.record(transaction, {
        ...by(principal),
        action: 'api_key.update',
        target: { type: 'ApiKey', id },
        detail: { before: summary(before), after: summary(after) },
      });
      return { before, after };
    });
    const kept = permissionsOf(grantHeldBy(after));
    // Ends streams that were opened with permissions that the key no longer has, or with tokens that its user created.
    if (after.disabledAt || permissionsOf(grantHeldBy(before)).some((held) => !kept.includes(held)))
      await revocations.endUser(after.userId);
    else if (after.expiresAt && after.expiresAt.getTime() !== before.expiresAt?.getTime())
      await revocations.endUser(after.userId, after.expiresAt);
    return after;
  }

  return {
    /**
     * Changes the given fields of a key. Null or absent fields are left unchanged: use `clear` to remove the name,
     * `allScopes` to remove the restriction to scopes and `neverExpires` to remove the expiry. Throws NOT_FOUND,
     * BAD_USER_INPUT, FORBIDDEN when the key has or would have more permissions than the principal, and CONFLICT for
     * the last administrator.
     */
    updateApiKey: (principal: Principal, id: number, input: UpdateApiKeyInput) => update(principal, allKeys, id, input),
    updateProjectToken: (principal: Principal, id: number, input: UpdateApiKeyInput) =>
      update(principal, ownProjects(principal), id, input),
  };
}
