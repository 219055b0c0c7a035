import type { Principal } from '../../authz/principal.ts';
import { newSecret } from '../../authz/secret.ts';
import { conflict, unauthenticated } from '../../errors.ts';
import { by } from '../audit/audit.service.ts';
import { loginSession, type Session, sessionColumns } from './login-session.ts';
import type { SessionDeps } from './session-deps.ts';
import { lockUser } from './users.service.ts';

/** Time that the previous secret works after a refresh, for concurrent requests. Milliseconds. */
const refreshOverlapMs = 60_000;

/** Returns the refresh of login sessions. */
export const sessionRefresh = ({ db, audit }: SessionDeps) => ({
  /**
   * Replaces the secret of the calling session and extends it by 7 days. The old secret works for another minute.
   * Throws FORBIDDEN for a credential that is not a session, CONFLICT for a secret that was already replaced.
   */
  async refresh(principal: Principal): Promise<Session> {
    const id = loginSession(principal);
    // The previous secret still works for concurrent requests, but cannot refresh the session again.
    if (principal.credential.superseded)
      throw conflict('SESSION_ALREADY_REFRESHED', 'This session has already been refreshed.');
    const secret = newSecret('SESSION');
    const now = Date.now();
    return db.prisma.$transaction(async (transaction) => {
      const user = await lockUser(transaction, principal.userId);
      const before = await transaction.token.findFirst({ where: { id, revokedAt: null } });
      if (!user || !before) throw unauthenticated();
      const token = await transaction.token.update({
        where: { id },
        data: {
          ...sessionColumns(secret, now),
          previousHash: before.hash,
          previousExpiresAt: new Date(now + refreshOverlapMs),
          secretVersion: { increment: 1 },
        },
      });
      await audit.record(transaction, { ...by(principal), action: 'session.refresh' });
      return { token: secret, expiresAt: token.expiresAt ?? new Date(now), user };
    });
  },
});
