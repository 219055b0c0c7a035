import { z } from 'zod';
import type { Client } from '../../authz/principal.ts';
import { AppError, parse } from '../../errors.ts';
import type { Prisma } from '../../generated/prisma/client.ts';
import { comparable } from '../../text/normalize.ts';
import { plainText } from '../../zod-types.ts';
import { maxSessions, type Session, startSession } from './login-session.ts';
import { givenPassword, verifyPassword } from './password.ts';
import type { SessionDeps } from './session-deps.ts';
import { lockUser } from './users.service.ts';

const Login = z.object({ login: plainText(254).trim().overwrite(comparable), password: givenPassword });

/** Time that an ended session is kept, so that its use is still recorded. Milliseconds. */
const keptMs = 30 * 24 * 3600 * 1000;

/** One response for every failure, so that it does not reveal which addresses have an account. */
const badCredentials = () => new AppError('BAD_USER_INPUT', 'LOGIN_FAILED', 'Wrong address or password.');

/** Ends the oldest sessions of a user so that another one can start. Returns the IDs of the ended sessions. */
async function makeRoom(transaction: Prisma.TransactionClient, userId: string, now: number): Promise<number[]> {
  const long = new Date(now - keptMs);
  const own = { kind: 'SESSION', userId } as const;
  await transaction.token.deleteMany({
    where: { ...own, OR: [{ expiresAt: { lt: long } }, { revokedAt: { lt: long } }] },
  });
  const oldest = await transaction.token.findMany({
    where: { ...own, revokedAt: null, expiresAt: { gt: new Date(now) } },
    orderBy: { id: 'desc' },
    skip: maxSessions - 1,
    select: { id: true },
  });
  const ids = oldest.map(({ id }) => id);
  if (ids.length > 0)
    await transaction.token.updateMany({ where: { id: { in: ids } }, data: { revokedAt: new Date(now) } });
  return ids;
}

/** Returns the login of people with their password. */
export const login = ({ db, audit, revocations, attempts }: SessionDeps) => ({
  /**
   * Starts a session that lasts 7 days after its last use. `login` is an address or a user name. Every failure is the
   * same BAD_USER_INPUT. Also throws RATE_LIMITED.
   */
  async login(client: Client, input: z.input<typeof Login>): Promise<Session> {
    const { login, password } = parse(Login, input);
    const attempt = await attempts.login(login, client);
    const found = await db.prisma.user.findMany({
      where: { accountType: 'STANDARD', OR: [{ email: login }, { username: login }] },
    });
    // A user name that is the address of another person selects that person by address.
    const user = found.find(({ email }) => email === login) ?? found[0];
    if (user) await attempt.on(user.id);
    const fits = await verifyPassword(user?.passwordHash, password);
    const actor = user ? { userId: user.id, name: user.name } : null;
    if (!user?.active || !fits) {
      await audit.record(db.prisma, { action: 'session.refused', actor, tokenId: null, client });
      throw badCredentials();
    }
    await attempt.succeeded();
    const { session, ended } = await db.prisma.$transaction(async (transaction) => {
      const now = Date.now();
      const current = await lockUser(transaction, user.id);
      // The password or account may have changed since it was checked.
      if (!current?.active || current.passwordHash !== user.passwordHash) throw badCredentials();
      const ended = await makeRoom(transaction, user.id, now);
      const updated = await transaction.user.update({ where: { id: user.id }, data: { lastLoginAt: new Date(now) } });
      return { session: await startSession(transaction, audit, { user: updated, client, now }), ended };
    });
    for (const id of ended) await revocations.endToken(id);
    return session;
  },
});
