import { z } from 'zod';
import type { Client, Principal } from '../../authz/principal.ts';
import { newSecret, secretColumns } from '../../authz/secret.ts';
import { AppError, badInput, conflict, denied, parse, unauthenticated } from '../../errors.ts';
import type { Prisma, User } from '../../generated/prisma/client.ts';
import type { Settings } from '../../settings.ts';
import type { Database } from '../../store/database.ts';
import type { Revocations } from '../../store/revocations.ts';
import { comparable } from '../../text/normalize.ts';
import { plainText } from '../../zod-types.ts';
import { type AuditService, by } from '../audit/audit.service.ts';
import { sessionLifetimeMs } from '../tokens/authenticate.ts';
import { publishEnd } from '../tokens/origins.ts';
import { emailAddress, endForPassword, nameOf, unlessTaken } from './accounts.service.ts';
import { endOwnerSessions } from './builtin-owner.ts';
import type { Attempts } from './login-throttle.ts';
import { givenPassword, hashPassword, newPassword, verifyPassword } from './password.ts';
import { hasPeople, lockUser, type UsersService } from './users.service.ts';

const Register = z.object({ email: emailAddress, password: newPassword });
const Login = z.object({ login: plainText(254).trim().overwrite(comparable), password: givenPassword });
const ChangePassword = z.object({
  currentPassword: givenPassword,
  newPassword,
  keepTokens: z.boolean().nullish(),
});

/** Maximum number of login sessions of one user; the oldest ends when another one starts. */
export const maxSessions = 100;
/** Time that an ended session is kept, so that its use is still recorded. Milliseconds. */
const keptMs = 30 * 24 * 3600 * 1000;
/** Time that the previous secret works after a refresh, for concurrent requests. Milliseconds. */
const refreshOverlapMs = 60_000;

/** The messages for people who cannot register. */
const registrationDenied = {
  closed: 'Registration is closed. Ask an administrator for an account.',
  invite: 'This workspace is invite-only. Please ask your admin to invite you.',
} as const;

/** One response for every failure, so that it does not reveal which addresses have an account. */
const badCredentials = () => new AppError('BAD_USER_INPUT', 'LOGIN_FAILED', 'Wrong address or password.');

export interface Session {
  /** The secret of the session, returned once. */
  token: string;
  expiresAt: Date;
  user: User;
}

const sessionColumns = (secret: string, now: number) => ({
  ...secretColumns(secret),
  expiresAt: new Date(now + sessionLifetimeMs),
});

/** Starts a session for a user whose password was correct, and records the login. */
export async function startSession(
  transaction: Prisma.TransactionClient,
  audit: AuditService,
  user: User,
  client: Client,
  now: number,
): Promise<Session> {
  const token = newSecret('SESSION');
  const columns = sessionColumns(token, now);
  const { id } = await transaction.token.create({
    data: { ...columns, kind: 'SESSION', allScopes: true, userId: user.id, creatorId: user.id },
    select: { id: true },
  });
  await audit.record(transaction, {
    action: 'session.create',
    actor: { userId: user.id, name: user.name },
    tokenId: id,
    client,
    target: { type: 'User', id: user.id },
  });
  return { token, expiresAt: columns.expiresAt, user };
}

interface SessionsServiceDeps {
  db: Database;
  audit: AuditService;
  users: UsersService;
  revocations: Revocations;
  attempts: Attempts;
  settings: Pick<Settings, 'registration' | 'firstPersonIsAdmin' | 'publicUrl'>;
}

/** Creates the service for registration, login sessions and changes of the own password. */
export function createSessionsService({ db, audit, users, revocations, attempts, settings }: SessionsServiceDeps) {
  /** Throws FORBIDDEN unless the credential is a login session. */
  function loginSession({ credential }: Principal): number {
    if (credential.kind !== 'SESSION') throw denied('SESSION_REQUIRED', 'This operation requires a login session.');
    return credential.tokenId;
  }

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

  return {
    /** Whether clients use https, in which case the session cookie is sent over https only. */
    overHttps: settings.publicUrl.startsWith('https:'),

    /** Returns how people can sign in, for anonymous clients. */
    async authentication(): Promise<{ registration: Settings['registration']; hasUsers: boolean }> {
      return { registration: settings.registration, hasUsers: await hasPeople(db.prisma) };
    },

    /**
     * Creates an account with the role BASIC for an anonymous client. With `REGISTRATION=open` the first person becomes
     * ADMIN. Throws BAD_USER_INPUT, RATE_LIMITED, FORBIDDEN when registration is closed or the address is not invited,
     * CONFLICT when the address is taken.
     */
    async register(client: Client, input: z.input<typeof Register>): Promise<User> {
      const { email, password } = parse(Register, input);
      if (settings.registration === 'closed') throw denied('REGISTRATION_CLOSED', registrationDenied.closed);
      const attempt = await attempts.registration(client);
      const passwordHash = await hashPassword(password);
      const { user, ended } = await unlessTaken(() =>
        db.prisma.$transaction(async (transaction) => {
          await users.lockAdmins(transaction);
          const { count } = await transaction.invitation.deleteMany({ where: { email } });
          if (settings.registration === 'invite' && count === 0)
            throw denied('REGISTRATION_INVITE_ONLY', registrationDenied.invite);
          const first = !(await hasPeople(transaction));
          const role = first && settings.firstPersonIsAdmin ? 'ADMIN' : 'BASIC';
          const user = await transaction.user.create({ data: { email, name: nameOf(email), role, passwordHash } });
          // Once people can log in, the server's own password no longer works.
          const ended = first ? await endOwnerSessions(transaction) : [];
          await audit.record(transaction, {
            action: 'user.register',
            actor: { userId: user.id, name: user.name },
            tokenId: null,
            client,
            target: { type: 'User', id: user.id },
            detail: { email, role: user.role },
          });
          return { user, ended };
        }),
      );
      await attempt.succeeded();
      for (const id of ended) revocations.endToken(id);
      return user;
    },

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
        return { session: await startSession(transaction, audit, updated, client, now), ended };
      });
      for (const id of ended) revocations.endToken(id);
      return session;
    },

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

    /** Ends the calling session and its open streams. Throws FORBIDDEN for a credential that is not a session. */
    async logout(principal: Principal): Promise<{ tokenId: number }> {
      const id = loginSession(principal);
      await db.prisma.$transaction(async (transaction) => {
        await transaction.token.updateMany({ where: { id, revokedAt: null }, data: { revokedAt: new Date() } });
        await audit.record(transaction, { ...by(principal), action: 'session.end' });
      });
      revocations.endToken(id);
      return { tokenId: id };
    },

    /**
     * Sets the password of the principal, ends their other login sessions and, unless `keepTokens` is set, revokes
     * their personal access tokens and turns off the tokens of their projects. Throws BAD_USER_INPUT, RATE_LIMITED, and
     * FORBIDDEN for a credential that is not a login session, because a leaked key must not be sufficient to take over
     * the account.
     */
    async changePassword(principal: Principal, input: z.input<typeof ChangePassword>): Promise<User> {
      const session = loginSession(principal);
      const data = parse(ChangePassword, input);
      const attempt = await attempts.login(principal.email, principal.client);
      await attempt.on(principal.userId);
      const before = await db.prisma.user.findUnique({ where: { id: principal.userId } });
      if (!(await verifyPassword(before?.passwordHash, data.currentPassword)))
        throw badInput(['input', 'currentPassword'], 'Invalid current password');
      await attempt.succeeded();
      const passwordHash = await hashPassword(data.newPassword);
      const { user, ended } = await db.prisma.$transaction(async (transaction) => {
        const current = await lockUser(transaction, principal.userId);
        // The password or the session may have changed since it was checked.
        if (!current?.active || current.passwordHash !== before?.passwordHash) throw unauthenticated();
        const user = await transaction.user.update({ where: { id: current.id }, data: { passwordHash } });
        const ended = await endForPassword(transaction, user.id, { keepTokens: data.keepTokens, except: session });
        await audit.record(transaction, {
          ...by(principal),
          action: 'user.change_password',
          target: { type: 'User', id: user.id },
          detail: { revokedTokenIds: ended.tokenIds },
        });
        return { user, ended };
      });
      publishEnd(revocations, ended);
      return user;
    },
  };
}

export type SessionsService = ReturnType<typeof createSessionsService>;
