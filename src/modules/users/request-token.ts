import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { Client } from '../../authz/principal.ts';
import { AppError, parse } from '../../errors.ts';
import { plainText } from '../../zod-types.ts';
import { ownerId } from './builtin-owner.ts';
import { maxSessions, type Session, startSession } from './login-session.ts';
import type { SingleUserDeps } from './single-user-deps.ts';
import { hasPeople } from './users.service.ts';

/** Addresses of this domain belong to users that are not people, and cannot be registered. */
const ownerEmail = 'owner@builtin.onyxapikey.ai';

const RequestToken = z.object({ username: plainText(254).nullish(), password: z.string() });

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Returns the login with a password alone, while no person exists, or as a person. */
export function tokenRequests({ db, audit, users, sessions, revocations, attempts, settings }: SingleUserDeps) {
  // Without AUTH_TOKEN the password is compared with a random value, so that every password is wrong.
  const expected = digest(settings.authToken ?? randomBytes(32).toString('hex'));
  const wrong = () => new AppError('UNAUTHENTICATED', 'PASSWORD_INCORRECT', 'Wrong password.');

  /** Starts a session of the built-in owner. Throws UNAUTHENTICATED, RATE_LIMITED. */
  async function openOwnerSession(client: Client, password: string): Promise<Session> {
    const attempt = await attempts.login(ownerId, client);
    if (!timingSafeEqual(digest(password), expected)) {
      await audit.record(db.prisma, { action: 'session.refused', actor: null, tokenId: null, client });
      throw wrong();
    }
    await attempt.succeeded();
    const { session, ended } = await db.prisma.$transaction(async (transaction) => {
      // The creation of the first person takes the same lock, so that no session starts after it ended them all.
      await users.lockAdmins(transaction);
      if (await hasPeople(transaction)) throw wrong();
      const now = new Date();
      const owner = { name: 'Owner', email: ownerEmail, role: 'ADMIN', accountType: 'SERVICE_ACCOUNT' } as const;
      const user = await transaction.user.upsert({
        where: { id: ownerId },
        create: { id: ownerId, ...owner, lastLoginAt: now },
        update: { lastLoginAt: now },
      });
      const oldest = await transaction.token.findMany({
        where: { userId: ownerId, kind: 'SESSION' },
        orderBy: { id: 'desc' },
        skip: maxSessions - 1,
        select: { id: true },
      });
      const ended = oldest.map(({ id }) => id);
      await transaction.token.deleteMany({ where: { id: { in: ended } } });
      return { session: await startSession(transaction, audit, { user, client, now: now.getTime() }), ended };
    });
    for (const id of ended) await revocations.endToken(id);
    return session;
  }

  return {
    /**
     * Starts a login session of the person with this user name or address or, while no person exists, of the built-in
     * owner, for whom only the password counts. Throws RATE_LIMITED, BAD_USER_INPUT for a person whose user name or
     * password is wrong, UNAUTHENTICATED for a wrong AUTH_TOKEN.
     */
    async requestToken(client: Client, input: z.input<typeof RequestToken>): Promise<Session> {
      const { username, password } = parse(RequestToken, input);
      return (await hasPeople(db.prisma))
        ? sessions.login(client, { login: username ?? '', password })
        : openOwnerSession(client, password);
    },
  };
}
