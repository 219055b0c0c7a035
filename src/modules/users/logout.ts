import type { Principal } from '../../authz/principal.ts';
import { by } from '../audit/audit.service.ts';
import { loginSession } from './login-session.ts';
import type { SessionDeps } from './session-deps.ts';

/** Returns the logout of people. */
export const logout = ({ db, audit, revocations }: SessionDeps) => ({
  /** Ends the calling session and its open streams. Throws FORBIDDEN for a credential that is not a session. */
  async logout(principal: Principal): Promise<{ tokenId: number }> {
    const id = loginSession(principal);
    await db.prisma.$transaction(async (transaction) => {
      await transaction.token.updateMany({ where: { id, revokedAt: null }, data: { revokedAt: new Date() } });
      await audit.record(transaction, { ...by(principal), action: 'session.end' });
    });
    await revocations.endToken(id);
    return { tokenId: id };
  },
});
