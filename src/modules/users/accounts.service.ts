import { z } from 'zod';
import { type Role, rolePermissions, roles } from '../../authz/permissions.ts';
import { can, type Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, conflict, forbidden, notFound, parse } from '../../errors.ts';
import { type Invitation, Prisma, type User } from '../../generated/prisma/client.ts';
import { cut, ListOrder, ListOrders, type ListRequest, type PageArgs, type SortKey } from '../../paging.ts';
import type { Database } from '../../store/database.ts';
import type { Revocations } from '../../store/revocations.ts';
import { comparable } from '../../text/normalize.ts';
import { cutText } from '../../unicode.ts';
import { containing, plainText } from '../../zod-types.ts';
import { type AuditAction, type AuditService, by } from '../audit/audit.service.ts';
import { changesOf, clearList } from '../changes.ts';
import { type EndedCredentials, holdMaker, publishEnd, revokeTokensOf } from '../tokens/origins.ts';
import { endOwnerSessions } from './builtin-owner.ts';
import { hashPassword, newPassword, randomPassword } from './password.ts';
import { hasPeople, lockUser, type UsersService } from './users.service.ts';

type Transaction = Prisma.TransactionClient;

/** The domain of the addresses of key users. No person has such an address. */
const keyDomain = 'onyxapikey.ai';
const domainReserved = {
  message: `must not be in the domain ${keyDomain}, which is reserved for keys`,
  params: { reason: 'DOMAIN_RESERVED' },
};

/** The domain of the address of a person whose user name is not an address. By RFC 2606, no mail reaches it. */
const noDomain = 'anythingllm.invalid';

/** An e-mail address in lower case. */
export const emailAddress = plainText(254)
  .overwrite(comparable)
  .pipe(z.email('must be an e-mail address'))
  .refine((email) => !email.endsWith(keyDomain), domainReserved)
  .refine(
    (email) => !email.endsWith(`@${noDomain}`),
    `must not be in the domain ${noDomain}, which is reserved for user names`,
  );

const username = plainText(64).regex(
  /^[a-z][a-z0-9._@-]+$/,
  'must have 2 to 64 lower-case letters, digits or the characters . _ @ - and begin with a letter',
);
const name = plainText(100).trim().min(1, 'must not be empty');

/** A user name without an address. If it is itself an address, it must be one that a person can have. */
export const soleUsername = username.refine(
  (name) => !isAddress(name) || emailAddress.safeParse(name).success,
  'is reserved',
);

const isAddress = (text: string): boolean => z.email().safeParse(text).success;

/** Returns the address of a person with a user name only: the user name if it is an address. */
export const addressOf = (username: string): string =>
  isAddress(username) ? username : `${username.replaceAll('@', '.')}@${noDomain}`;

/** Properties of a person that administrators set, besides the role. */
const remarks = {
  dailyMessageLimit: z.number().int().min(1).max(1_000_000).nullish(),
  bio: plainText(1000).nullish(),
};

const CreateUser = z
  .object({
    email: emailAddress.nullish(),
    password: newPassword,
    role: z.enum(roles),
    name: name.nullish(),
    username: username.nullish(),
    ...remarks,
  })
  .transform(({ email, ...rest }, context) => {
    const sole = rest.username == null || email != null ? null : soleUsername.safeParse(rest.username);
    if (email != null) return { ...rest, email };
    if (sole?.success) return { ...rest, email: addressOf(sole.data) };
    const message = sole ? 'is reserved' : 'is required without a `username`';
    context.addIssue({ code: 'custom', path: [sole ? 'username' : 'email'], message });
    return z.NEVER;
  });
export type CreateUserInput = z.input<typeof CreateUser>;

/** Identifies a user by UUID, by the integer ID of the AnythingLLM paths or by e-mail address. */
export type UserKey = { id: string } | { number: number } | { email: string };

/** Returns the filter for the user with this key. Throws BAD_USER_INPUT for a text that cannot be an e-mail address. */
export function whereKey(key: UserKey): Prisma.UserWhereInput {
  if ('number' in key) return { databaseId: key.number };
  if ('id' in key) return { id: key.id };
  return { email: parse(plainText(254).overwrite(comparable), key.email, ['input', 'user', 'email']) };
}

const ChangeRole = z.object({ role: z.enum(roles) });
const UpdateUser = z.object({
  // Validated once the current names are known.
  username: z.string().nullish(),
  name: name.nullish(),
  password: newPassword.nullish(),
  role: z.enum(roles).nullish(),
  active: z.boolean().nullish(),
  ...remarks,
  keepTokens: z.boolean().nullish(),
  clear: clearList(['dailyMessageLimit']),
});
/** Fields that are null or absent are left unchanged. */
export type UpdateUserInput = z.input<typeof UpdateUser>;
/** Maximum number of invitations per request. */
const maxInvitations = 1000;
const Invite = z.object({ emails: z.array(emailAddress).min(1).max(maxInvitations) });

const search = plainText(500).nullish();
const accountTypes = ['STANDARD', 'SERVICE_ACCOUNT'] as const;
const UserFilter = z.object({
  search,
  active: z.boolean().nullish(),
  roles: z.array(z.enum(roles)).max(100).nullish(),
  accountTypes: z.array(z.enum(accountTypes)).max(100).nullish(),
});
export type UserFilter = z.input<typeof UserFilter>;

const InvitationFilter = z.object({ search });
export type InvitationFilter = z.input<typeof InvitationFilter>;

const byId: SortKey = { field: 'id', type: 'uuid', direction: 'asc' };
const userSortKeys = {
  CREATED_AT: [{ field: 'createdAt', type: 'date', direction: 'asc' }, byId],
  NAME: [{ field: 'name', type: 'text', direction: 'asc' }, byId],
} satisfies Record<string, SortKey[]>;
const oldestFirst = { field: 'CREATED_AT', direction: 'ASC' } as const;
export const userOrders = new ListOrders('users', userSortKeys, oldestFirst);
export const allUserOrders = new ListOrders('allUsers', userSortKeys, oldestFirst);
export const invitationOrder = new ListOrder('invitations', [{ field: 'id', type: 'int', direction: 'asc' }]);

/** Throws BAD_USER_INPUT. */
function matching(filter: UserFilter): Prisma.UserWhereInput {
  const { search, active, roles, accountTypes } = parse(UserFilter, filter, ['filter']);
  return {
    ...(search && { OR: [{ nameForm: containing(search) }, { email: containing(search) }] }),
    ...(active != null && { active }),
    ...(roles && { role: { in: roles } }),
    accountType: { in: accountTypes ?? ['STANDARD'] },
  };
}

/** Returns the condition for the users of the directory that match a filter. Throws BAD_USER_INPUT. */
const listed = (filter: UserFilter): Prisma.UserWhereInput => ({ AND: [visible.directory(), matching(filter)] });

/**
 * Returns the condition for all users that match a filter, except the users that chat widgets act as. Throws
 * BAD_USER_INPUT.
 */
const existing = (filter: UserFilter): Prisma.UserWhereInput => ({ ...matching(filter), embed: null });

function invited(filter: InvitationFilter): Prisma.InvitationWhereInput {
  const { search } = parse(InvitationFilter, filter, ['filter']);
  return search ? { email: containing(search) } : {};
}

/** The message of CONFLICT when an address or user name is in use. */
const taken = 'An account with this address or user name already exists.';

/** Runs an operation that stores a person. Throws CONFLICT when the address or user name is in use. */
export async function unlessTaken<T>(store: () => Promise<T>): Promise<T> {
  try {
    return await store();
  } catch (error) {
    if (error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2002')
      throw conflict('ADDRESS_TAKEN', taken);
    throw error;
  }
}

/** Returns the default name of a person. */
export const nameOf = (email: string): string => cutText(email.slice(0, email.indexOf('@')), 100);

/** Throws FORBIDDEN when a role has permissions that the principal does not have. */
export function withinRole(principal: Principal, role: Role): void {
  const excess = [...rolePermissions(role)].filter((held) => !can(principal, held));
  if (excess.length > 0)
    throw forbidden(
      excess,
      'You cannot create or change an account with more permissions than your own.',
      'PERMISSIONS_EXCEED_CALLER',
    );
}

/**
 * Returns the columns that a new user name changes, or no column for a person who already has that name or address; the
 * generated address changes with it. Throws BAD_USER_INPUT for a user name that is not allowed.
 */
function namesAfter(before: User, wanted: string | null | undefined): { username?: string; email?: string } {
  if (wanted == null || wanted === (before.username ?? before.email)) return {};
  const path = ['input', 'username'];
  const known = parse(username, wanted, path);
  return before.email.endsWith(`@${noDomain}`)
    ? { username: known, email: addressOf(parse(soleUsername, known, path)) }
    : { username: known };
}

/** Returns whether a change of role removes permissions. */
const narrows = (before: Role, after: Role): boolean =>
  [...rolePermissions(before)].some((held) => !rolePermissions(after).has(held));

/** Ends the login sessions of a user, except one when it is given. Returns the IDs of the ended sessions. */
async function endSessions(transaction: Transaction, userId: string, except?: number): Promise<number[]> {
  const where = {
    kind: 'SESSION',
    userId,
    revokedAt: null,
    ...(except !== undefined && { id: { not: except } }),
  } as const;
  const ending = await transaction.token.findMany({ where, select: { id: true } });
  const ids = ending.map(({ id }) => id);
  await transaction.token.updateMany({ where: { id: { in: ids } }, data: { revokedAt: new Date() } });
  return ids;
}

/**
 * Ends the credentials that do not remain valid after a change of password: all login sessions and, unless `keepTokens`
 * is set, the user's tokens. The session with the ID `except` is kept.
 */
export async function endForPassword(
  transaction: Transaction,
  userId: string,
  { keepTokens, except }: { keepTokens?: boolean | null | undefined; except?: number } = {},
): Promise<EndedCredentials> {
  const sessions = await endSessions(transaction, userId, except);
  const tokens: EndedCredentials = keepTokens
    ? { tokenIds: [], keyUserIds: [] }
    : await revokeTokensOf(transaction, userId);
  return { ...tokens, tokenIds: [...sessions, ...tokens.tokenIds] };
}

interface AccountsServiceDeps {
  db: Database;
  audit: AuditService;
  users: UsersService;
  revocations: Revocations;
}

/** Creates the service for the directory of people and their administration. */
export function createAccountsService({ db, audit, users, revocations }: AccountsServiceDeps) {
  /**
   * Locks and returns a person that the principal may administer. Throws BAD_USER_INPUT, NOT_FOUND, FORBIDDEN. Requires
   * `lockAdmins`.
   */
  async function claim(transaction: Transaction, principal: Principal, key: UserKey): Promise<User> {
    const found = await transaction.user.findFirst({
      where: { accountType: 'STANDARD', ...whereKey(key) },
      select: { id: true },
    });
    // A concurrent login holds this lock until its session is committed, so that the session is ended too.
    const user = found && (await lockUser(transaction, found.id));
    if (!user) throw notFound('USER_NOT_FOUND');
    withinRole(principal, user.role);
    return user;
  }

  /** Changes one person and records the audit event, while no other transaction changes the list of administrators. */
  const administer = <T>(
    principal: Principal,
    key: UserKey,
    action: AuditAction,
    change: (transaction: Transaction, user: User) => Promise<{ result: T; detail?: Prisma.InputJsonObject }>,
  ): Promise<T> =>
    db.prisma.$transaction(async (transaction) => {
      await users.lockAdmins(transaction);
      const user = await claim(transaction, principal, key);
      const { result, detail } = await change(transaction, user);
      await audit.record(transaction, {
        ...by(principal),
        action,
        target: { type: 'User', id: user.id },
        detail: { email: user.email, ...detail },
      });
      return result;
    });

  /**
   * Deactivates a person or reduces the permissions. Throws CONFLICT for the caller's own account and for the last
   * administrator. Requires `lockAdmins`.
   */
  async function shutOut(transaction: Transaction, principal: Principal, { id, role }: User): Promise<User> {
    if (id === principal.userId) throw conflict('CANNOT_DEACTIVATE_SELF', 'You cannot deactivate your own account.');
    if (role === 'ADMIN') await users.keepAnAdmin(transaction, id);
    await endSessions(transaction, id);
    return transaction.user.update({ where: { id }, data: { active: false } });
  }

  /**
   * Changes the role of a person. Returns whether it has fewer permissions. Throws FORBIDDEN, and CONFLICT for demoting
   * oneself or the last administrator. Requires `lockAdmins`.
   */
  async function reassign(
    transaction: Transaction,
    principal: Principal,
    { id, role: before }: User,
    role: Role,
  ): Promise<{ user: User; demoted: boolean }> {
    withinRole(principal, role);
    const demoted = narrows(before, role);
    if (demoted && id === principal.userId)
      throw conflict('CANNOT_DEMOTE_SELF', 'Administrators cannot demote themselves.');
    if (demoted && before === 'ADMIN') await users.keepAnAdmin(transaction, id);
    return { user: await transaction.user.update({ where: { id }, data: { role } }), demoted };
  }

  return {
    /** Returns a user by UUID. Throws NOT_FOUND. */
    async find(id: string, query: object = {}): Promise<User> {
      const user = await db.prisma.user.findUnique({ ...query, where: { id } });
      if (!user) throw notFound('USER_NOT_FOUND');
      return user;
    },

    async listUsers(filter: UserFilter, { order, args, limit, query }: ListRequest) {
      const page = order.page(args, limit);
      const rows = await db.prisma.user.findMany({ ...query, ...page, where: { AND: [listed(filter), page.where] } });
      return cut(rows, page);
    },

    countUsers: (filter: UserFilter) => db.prisma.user.count({ where: listed(filter) }),

    async listAllUsers(filter: UserFilter, { order, args, limit, query }: ListRequest) {
      const page = order.page(args, limit);
      const rows = await db.prisma.user.findMany({ ...query, ...page, where: { AND: [existing(filter), page.where] } });
      return cut(rows, page);
    },

    countAllUsers: (filter: UserFilter) => db.prisma.user.count({ where: existing(filter) }),

    async listInvitations(filter: InvitationFilter, args: PageArgs, limit: number) {
      const page = invitationOrder.page(args, limit);
      const rows = await db.prisma.invitation.findMany({ ...page, where: { AND: [invited(filter), page.where] } });
      return cut(rows, page);
    },

    countInvitations: (filter: InvitationFilter) => db.prisma.invitation.count({ where: invited(filter) }),

    /**
     * Invites up to 1000 e-mail addresses and returns the new invitations. Skips addresses that are already registered
     * or invited. Throws BAD_USER_INPUT when an entry is not an e-mail address; in that case, no address is invited.
     */
    async invite(principal: Principal, input: { emails: string[] }): Promise<Invitation[]> {
      const emails = [...new Set(parse(Invite, input).emails)];
      return db.prisma.$transaction(async (transaction) => {
        await users.lockAdmins(transaction);
        const creatorTokenIds = await holdMaker(transaction, principal);
        // On a server without registered people, an invited person can become the first administrator.
        if (!(await hasPeople(transaction))) withinRole(principal, 'ADMIN');
        const registered = await transaction.user.findMany({
          where: { email: { in: emails } },
          select: { email: true },
        });
        const known = new Set(registered.map(({ email }) => email));
        const made = await transaction.invitation.createManyAndReturn({
          data: emails
            .filter((email) => !known.has(email))
            .map((email) => ({ email, invitedById: principal.userId, creatorTokenIds })),
          skipDuplicates: true,
        });
        await audit.record(transaction, {
          ...by(principal),
          action: 'invitation.create',
          detail: { emails, count: made.length },
        });
        return made;
      });
    },

    /**
     * Removes an invitation. Returns its ID and the number of remaining invitations. Throws BAD_USER_INPUT, NOT_FOUND.
     */
    async removeInvitation(
      principal: Principal,
      key: { id: number } | { email: string },
    ): Promise<{ id: number; remaining: number }> {
      const where =
        'id' in key ? key : { email: parse(plainText(254).overwrite(comparable), key.email, ['input', 'email']) };
      return db.prisma.$transaction(async (transaction) => {
        await users.lockAdmins(transaction);
        const invitation = await transaction.invitation.findFirst({ where });
        if (!invitation) throw notFound('INVITATION_NOT_FOUND');
        const { id, email } = invitation;
        await transaction.invitation.delete({ where: { id } });
        await audit.record(transaction, { ...by(principal), action: 'invitation.delete', detail: { email } });
        return { id, remaining: await transaction.invitation.count() };
      });
    },

    /**
     * Creates an account for a person with a password that the person can change. Throws BAD_USER_INPUT, FORBIDDEN for
     * a role with more permissions than the principal, CONFLICT when the address or user name is in use.
     */
    async create(principal: Principal, input: CreateUserInput): Promise<User> {
      const { password, ...data } = parse(CreateUser, input);
      withinRole(principal, data.role);
      const passwordHash = await hashPassword(password);
      const { user, ended } = await unlessTaken(() =>
        db.prisma.$transaction(async (transaction) => {
          await users.lockAdmins(transaction);
          const first = !(await hasPeople(transaction));
          await transaction.invitation.deleteMany({ where: { email: data.email } });
          const user = await transaction.user.create({
            data: {
              ...data,
              username: data.username ?? null,
              name: data.name ?? nameOf(data.email),
              dailyMessageLimit: data.dailyMessageLimit ?? null,
              bio: data.bio ?? '',
              passwordHash,
            },
          });
          // Once people can log in, the server's own password no longer works.
          const ended = first ? await endOwnerSessions(transaction) : [];
          await audit.record(transaction, {
            ...by(principal),
            action: 'user.create',
            target: { type: 'User', id: user.id },
            detail: { email: user.email, role: user.role },
          });
          return { user, ended };
        }),
      );
      for (const id of ended) revocations.endToken(id);
      return user;
    },

    /** Activates a person. Throws BAD_USER_INPUT, NOT_FOUND, FORBIDDEN. */
    activate: (principal: Principal, key: UserKey): Promise<User> =>
      administer(principal, key, 'user.activate', async (transaction, { id }) => ({
        result: await transaction.user.update({ where: { id }, data: { active: true } }),
      })),

    /**
     * Deactivates a person immediately: login sessions end, personal access tokens stop working. Throws BAD_USER_INPUT,
     * NOT_FOUND, FORBIDDEN, and CONFLICT for the caller's own account and for the last administrator.
     */
    async deactivate(principal: Principal, key: UserKey): Promise<User> {
      const user = await administer(principal, key, 'user.deactivate', async (transaction, before) => ({
        result: await shutOut(transaction, principal, before),
      }));
      revocations.endUser(user.id);
      return user;
    },

    /**
     * Deletes a person with everything that belongs to that person alone. Throws BAD_USER_INPUT, NOT_FOUND, FORBIDDEN,
     * and CONFLICT for the caller's own account, for the last administrator, and for an active person unless
     * `evenActive`.
     */
    async delete(
      principal: Principal,
      key: UserKey,
      { evenActive }: { evenActive?: boolean | null | undefined } = {},
    ): Promise<{ userId: string }> {
      const { userId, gone } = await administer(principal, key, 'user.delete', async (transaction, user) => {
        if (user.id === principal.userId) throw conflict('CANNOT_DELETE_SELF', 'You cannot delete your own account.');
        if (user.active && !evenActive) throw conflict('USER_ACTIVE', 'Deactivate the user before deleting.');
        if (user.active && user.role === 'ADMIN') await users.keepAnAdmin(transaction, user.id);
        // When no person exists, the next one to register becomes an administrator.
        if (!(await hasPeople(transaction, user.id))) withinRole(principal, 'ADMIN');
        return {
          result: { userId: user.id, gone: await users.erase(transaction, user.id) },
          detail: { role: user.role },
        };
      });
      for (const id of gone) revocations.endUser(id);
      return { userId };
    },

    /**
     * Changes the role of a person, effective with the next request. Throws BAD_USER_INPUT, NOT_FOUND, FORBIDDEN when
     * either role has more permissions than the principal, and CONFLICT for demoting oneself or the last administrator.
     */
    async changeRole(principal: Principal, key: UserKey, wanted: Role): Promise<User> {
      const { role } = parse(ChangeRole, { role: wanted });
      const { user, demoted } = await administer(principal, key, 'user.change_role', async (transaction, before) => {
        const result = await reassign(transaction, principal, before, role);
        return { result, detail: { before: before.role, after: role } };
      });
      if (demoted) revocations.endUser(user.id);
      return user;
    },

    /**
     * Changes all of the given fields of a person, or no field on an error. A new password ends the person's login
     * sessions and, unless `keepTokens` is set, revokes their tokens. A loss of permissions or access takes effect
     * immediately. Throws BAD_USER_INPUT, also when no field is given, NOT_FOUND, FORBIDDEN, and CONFLICT when the
     * username is taken, when principals deactivate or demote themselves, and for the last administrator.
     */
    async update(principal: Principal, key: UserKey, input: UpdateUserInput): Promise<User> {
      const { keepTokens, ...changes } = changesOf(parse(UpdateUser, input));
      const changed = Object.keys(changes).sort();
      const { username, password, role, active, ...data } = changes;
      if (changed.length === 0) throw badInput(['input'], 'must contain at least one change');
      const passwordHash = password == null ? undefined : await hashPassword(password);
      const { user, ended, narrowed } = await unlessTaken(() =>
        administer(principal, key, 'user.update', async (transaction, before) => {
          const ended = password === undefined ? null : await endForPassword(transaction, before.id, { keepTokens });
          const reassigned = role == null ? null : await reassign(transaction, principal, before, role);
          const shut = active === false && before.active;
          if (shut) await shutOut(transaction, principal, reassigned?.user ?? before);
          const user = await transaction.user.update({
            where: { id: before.id },
            data: {
              ...data,
              ...namesAfter(before, username),
              ...(passwordHash !== undefined && { passwordHash }),
              ...(active && { active }),
            },
          });
          return {
            result: { user, ended, narrowed: shut || (reassigned?.demoted ?? false) },
            detail: { changed, ...(role != null && { before: before.role, after: role }) },
          };
        }),
      );
      if (ended) publishEnd(revocations, ended);
      if (narrowed) revocations.endUser(user.id);
      return user;
    },

    /**
     * Sets a new random password for a person. The password is returned only once. Ends the person's login sessions
     * and, unless `keepTokens` is set, revokes their personal access tokens and turns off the tokens of their projects.
     * Throws BAD_USER_INPUT, NOT_FOUND, FORBIDDEN.
     */
    async resetPassword(
      principal: Principal,
      key: UserKey,
      { keepTokens }: { keepTokens?: boolean | null | undefined } = {},
    ): Promise<{ user: User; password: string }> {
      const password = randomPassword();
      const passwordHash = await hashPassword(password);
      const { user, ended } = await administer(principal, key, 'user.reset_password', async (transaction, { id }) => {
        const ended = await endForPassword(transaction, id, { keepTokens });
        const user = await transaction.user.update({ where: { id }, data: { passwordHash } });
        return { result: { user, ended }, detail: { revokedTokenIds: ended.tokenIds } };
      });
      publishEnd(revocations, ended);
      return { user, password };
    },
  };
}
