import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { Client, Principal } from '../../authz/principal.ts';
import { AppError, conflict, parse } from '../../errors.ts';
import type { User } from '../../generated/prisma/client.ts';
import type { Settings } from '../../settings.ts';
import type { Database } from '../../store/database.ts';
import type { Revocations } from '../../store/revocations.ts';
import { plainText } from '../../zod-types.ts';
import { type AuditService, by } from '../audit/audit.service.ts';
import { addressOf, soleUsername, unlessTaken, withinRole } from './accounts.service.ts';
import { endOwnerSessions, ownerId } from './builtin-owner.ts';
import type { Attempts } from './login-throttle.ts';
import { hashPassword, newPassword } from './password.ts';
import { maxSessions, type Session, type SessionsService, startSession } from './sessions.service.ts';
import { hasPeople, type UsersService } from './users.service.ts';

/** Addresses of this domain belong to users that are not people, and cannot be registered. */
const ownerEmail = 'owner@builtin.onyxapikey.ai';

const RequestToken = z.object({ username: plainText(254).nullish(), password: z.string() });

const EnableMultiUser = z.object({ username: soleUsername, password: newPassword });

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

interface SingleUserServiceDeps {
  db: Database;
  audit: AuditService;
  users: UsersService;
  sessions: SessionsService;
  revocations: Revocations;
  attempts: Attempts;
  settings: Pick<Settings, 'authToken'>;
}

/**
 * Creates the service for single-user mode, as AnythingLLM clients know it: the password in AUTH_TOKEN opens the server
 * until the first person exists.
 */
export function createSingleUserService({
  db,
  audit,
  users,
  sessions,
  revocations,
  attempts,
  settings,
}: SingleUserServiceDeps) {
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
      return { session: await startSession(transaction, audit, user, client, now.getTime()), ended };
    });
    for (const id of ended) revocations.endToken(id);
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

    /**
     * Creates the first person, an ADMIN, and ends the sessions of the built-in owner. Throws BAD_USER_INPUT, FORBIDDEN
     * for a caller without all permissions of ADMIN, CONFLICT when a person exists.
     */
    async enableMultiUser(principal: Principal, input: z.input<typeof EnableMultiUser>): Promise<User> {
      const { username, password } = parse(EnableMultiUser, input);
      withinRole(principal, 'ADMIN');
      const passwordHash = await hashPassword(password);
      const { user, ended } = await unlessTaken(() =>
        db.prisma.$transaction(async (transaction) => {
          await users.lockAdmins(transaction);
          if (await hasPeople(transaction))
            throw conflict('MULTI_USER_MODE_ENABLED', 'Multi-user mode is already enabled.');
          const email = addressOf(username);
          await transaction.invitation.deleteMany({ where: { email } });
          const user = await transaction.user.create({
            data: { email, username, name: username, role: 'ADMIN', passwordHash },
          });
          const ended = await endOwnerSessions(transaction);
          await audit.record(transaction, {
            ...by(principal),
            action: 'multi_user_mode.enable',
            target: { type: 'User', id: user.id },
            detail: { email, username, sessionsEnded: ended.length },
          });
          return { user, ended };
        }),
      );
      for (const id of ended) revocations.endToken(id);
      return user;
    },
  };
}
