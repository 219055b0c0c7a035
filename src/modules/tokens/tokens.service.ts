import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { serviceAccountKinds } from '../../authz/credentials.ts';
import { roles } from '../../authz/permissions.ts';
import type { Principal } from '../../authz/principal.ts';
import { hashSecret, newSecret, secretColumns } from '../../authz/secret.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, conflict, denied, notFound, parse } from '../../errors.ts';
import type { Prisma, Token } from '../../generated/prisma/client.ts';
import { cut, type ListOrder, ListOrders, type PageArgs, type SortKey } from '../../paging.ts';
import type { Database } from '../../store/database.ts';
import type { Revocations } from '../../store/revocations.ts';
import { containing, databaseId, plainText } from '../../zod-types.ts';
import { type AuditService, by } from '../audit/audit.service.ts';
import { changesOf, clearList } from '../changes.ts';
import { lockUser, type UsersService } from '../users/users.service.ts';
import { type Grant, grantOf, narrowed, permissionsOf, within } from './grants.ts';
import { checkedExpiry, endOfDay, endOfMaker, lifetimeFor } from './lifetime.ts';
import { checkCurrent, type EndedCredentials, holdMaker, publishEnd, revokeDerived } from './origins.ts';

const name = plainText(100).trim().min(1, 'must not be empty');
const scopes = z.array(z.string()).max(100);
const year = 365 * 24 * 3600 * 1000;
const expiry = z
  .date()
  .refine((date) => date.getTime() > Date.now(), 'must be in the future')
  .refine((date) => date.getTime() < Date.now() + 10 * year + year / 100, 'must be within 10 years');

const CreateApiKey = z.object({
  name: name.nullish(),
  kind: z.enum(serviceAccountKinds).default('API_KEY'),
  role: z.enum(roles).default('BASIC'),
  scopes: scopes.nullish(),
  projectId: databaseId.nullish(),
  expiresAt: expiry.nullish(),
  neverExpires: z.boolean().nullish(),
});
const CreateProjectToken = CreateApiKey.omit({ kind: true }).extend({ projectId: databaseId });
const UpdateApiKey = z.object({
  name: name.nullish(),
  role: z.enum(roles).nullish(),
  scopes: scopes.nullish(),
  allScopes: z.boolean().nullish(),
  expiresAt: expiry.nullish(),
  neverExpires: z.boolean().nullish(),
  disabled: z.boolean().nullish(),
  clear: clearList(['name']),
});
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
const CreatePersonalAccessToken = z.object({
  name,
  expiresInDays: z.number().int().min(1).max(3650).nullish(),
  neverExpires: z.boolean().nullish(),
  scopes: scopes.nullish(),
});

export type CreateApiKeyInput = z.input<typeof CreateApiKey>;
export type CreateProjectTokenInput = z.input<typeof CreateProjectToken>;
export type UpdateApiKeyInput = z.input<typeof UpdateApiKey>;
export type RegenerateApiKeyInput = z.input<typeof RegenerateApiKey>;
export type CreatePersonalAccessTokenInput = z.input<typeof CreatePersonalAccessToken>;

/** Maximum number of working personal access tokens of one user. */
const maxPersonalTokens = 100;
/** Maximum number of tokens of one project. */
const maxProjectTokens = 100;

const byId: SortKey = { field: 'id', type: 'int', direction: 'asc' };
const sortKeys = {
  CREATED_AT: [{ field: 'createdAt', type: 'date', direction: 'asc' }, byId],
  EXPIRES_AT: [{ field: 'expiresAt', type: 'date', direction: 'asc', nullable: true }, byId],
  LAST_USED_AT: [{ field: 'lastUsedAt', type: 'date', direction: 'asc', nullable: true }, byId],
  NAME: [{ field: 'name', type: 'text', direction: 'asc', nullable: true }, byId],
} satisfies Record<string, SortKey[]>;
const created = (direction: 'ASC' | 'DESC') => ({ field: 'CREATED_AT', direction }) as const;
export const apiKeyOrders = new ListOrders('apiKeys', sortKeys, created('ASC'));
export const projectTokenOrders = new ListOrders('projectTokens', sortKeys, created('ASC'));
export const personalAccessTokenOrders = new ListOrders('personalAccessTokens', sortKeys, created('DESC'));

export type ApiKeyRow = Prisma.TokenGetPayload<{ include: { user: true } }>;

/** A key with its new secret, and the number of credentials that the regeneration revoked. */
export interface RegeneratedKey {
  apiKey: ApiKeyRow;
  secret: string;
  revokedCount: number;
}

/** Returns the grant of a key. */
const grantHeldBy = (key: ApiKeyRow): Grant => ({
  role: key.user.role,
  allScopes: key.allScopes,
  scopes: key.scopes,
  projectId: key.projectId,
});

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

/** The keys that an operation administers, and their name in NOT_FOUND. */
interface Sphere {
  where: Prisma.TokenWhereInput;
  notFound: 'API_KEY_NOT_FOUND' | 'PROJECT_TOKEN_NOT_FOUND';
}

const allKeys: Sphere = { where: visible.apiKeys(), notFound: 'API_KEY_NOT_FOUND' };
const ownProjects = (principal: Principal): Sphere => ({
  where: visible.projectTokens(principal),
  notFound: 'PROJECT_TOKEN_NOT_FOUND',
});

export type ApiKeyKind = (typeof serviceAccountKinds)[number];

/** Returns the kind of a key. Lists and lookups of keys select no other kinds. */
export function keyKind(kind: Token['kind']): ApiKeyKind {
  const known = serviceAccountKinds.find((name) => name === kind);
  if (!known) throw new Error(`must be the ID of an API key, not of a ${kind} token`);
  return known;
}

const TokenFilter = z.object({
  search: plainText(500).nullish(),
  disabled: z.boolean().nullish(),
  projectId: databaseId.nullish(),
  kinds: z.array(z.enum(serviceAccountKinds)).max(100).nullish(),
});
export type TokenFilter = z.input<typeof TokenFilter>;

/** Throws BAD_USER_INPUT. */
function matching(filter: TokenFilter | null | undefined): Prisma.TokenWhereInput {
  const { search, disabled, projectId, kinds } = parse(TokenFilter, filter ?? {}, ['filter']);
  return {
    ...(search && { name: containing(search) }),
    ...(disabled != null && { disabledAt: disabled ? { not: null } : null }),
    ...(projectId != null && { projectId }),
    ...(kinds && { kind: { in: kinds } }),
  };
}

type NewKey = Grant & {
  kind: ApiKeyKind;
  name: string | null;
  expiresAt: Date | null;
  creatorId: string | null;
  creatorTokenIds: number[];
};

export function createTokensService(db: Database, audit: AuditService, users: UsersService, revocations: Revocations) {
  async function findKey(transaction: Prisma.TransactionClient, sphere: Sphere, id: number): Promise<ApiKeyRow> {
    const where = { AND: [sphere.where, { id }] };
    const key = await transaction.token.findFirst({ where, include: { user: true } });
    if (!key) throw notFound(sphere.notFound);
    return key;
  }

  /** Stores a new service account with its key. The caller has checked the grant. */
  function insertApiKey(transaction: Prisma.TransactionClient, secret: string, key: NewKey): Promise<ApiKeyRow> {
    const userId = randomUUID();
    return transaction.token.create({
      data: {
        ...secretColumns(secret),
        kind: key.kind,
        name: key.name,
        allScopes: key.allScopes,
        scopes: key.scopes,
        expiresAt: key.expiresAt,
        creatorTokenIds: key.creatorTokenIds,
        ...(key.projectId !== null && { project: { connect: { id: key.projectId } } }),
        ...(key.creatorId && { creator: { connect: { id: key.creatorId } } }),
        user: {
          create: {
            id: userId,
            name: key.name ?? unnamed,
            email: serviceAccountEmail(key.name, userId),
            role: key.role,
            accountType: 'SERVICE_ACCOUNT',
          },
        },
      },
      include: { user: true },
    });
  }

  /**
   * Locks a project of the principal against deletion, and against concurrent creations that would exceed its limit.
   */
  async function claimProject(transaction: Prisma.TransactionClient, principal: Principal, id: number, missing: Error) {
    await transaction.$queryRaw`SELECT 1 FROM "Project" WHERE "id" = ${id} FOR UPDATE`;
    const where = { AND: [visible.projects(principal), { id }] };
    if ((await transaction.project.count({ where })) === 0) throw missing;
    if ((await transaction.token.count({ where: { kind: 'PROJECT', projectId: id } })) >= maxProjectTokens)
      throw conflict('TOO_MANY_TOKENS', `Too many project tokens (limit: ${maxProjectTokens}).`);
  }

  async function create(
    principal: Principal,
    data: z.output<typeof CreateApiKey>,
    missing: Error,
  ): Promise<{ apiKey: ApiKeyRow; secret: string }> {
    const projectId = data.projectId ?? null;
    const kind = projectId === null ? data.kind : 'PROJECT';
    const grant = within(principal, grantOf(data.role, data.scopes, projectId));
    const secret = newSecret(kind);
    const apiKey = await db.prisma.$transaction(async (transaction) => {
      const creatorTokenIds = await holdMaker(transaction, principal);
      const lifetime = await lifetimeFor(transaction, principal);
      const expiresAt = checkedExpiry(lifetime, data);
      if (projectId !== null) await claimProject(transaction, principal, projectId, missing);
      const key = await insertApiKey(transaction, secret, {
        ...grant,
        kind,
        name: data.name ?? null,
        expiresAt: expiresAt === undefined ? lifetime.otherwise : expiresAt,
        creatorId: principal.userId,
        creatorTokenIds,
      });
      await audit.record(transaction, {
        ...by(principal),
        action: 'api_key.create',
        target: { type: 'ApiKey', id: key.id },
        detail: { kind, ...summary(key) },
      });
      return key;
    });
    return { apiKey, secret };
  }

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
      revocations.endUser(after.userId);
    else if (after.expiresAt && after.expiresAt.getTime() !== before.expiresAt?.getTime())
      revocations.endUser(after.userId, after.expiresAt);
    return after;
  }

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
    revocations.endToken(id, previousExpiresAt ?? undefined);
    publishEnd(revocations, ended);
    return { apiKey, secret, revokedCount: ended.tokenIds.length };
  }

  async function remove(principal: Principal, sphere: Sphere, id: number): Promise<{ id: number; userId: string }> {
    const { userId, erased } = await db.prisma.$transaction(async (transaction) => {
      await users.lockAdmins(transaction);
      const key = await findKey(transaction, sphere, id);
      within(principal, grantHeldBy(key));
      if (key.user.role === 'ADMIN') await users.keepAnAdmin(transaction, key.userId);
      await audit.record(transaction, {
        ...by(principal),
        action: 'api_key.delete',
        target: { type: 'ApiKey', id },
        detail: summary(key),
      });
      return { userId: key.userId, erased: await users.erase(transaction, key.userId) };
    });
    for (const each of erased) revocations.endUser(each);
    return { id, userId };
  }

  return {
    /**
     * Creates a service account and its key, restricted to a project when one is given. Throws BAD_USER_INPUT,
     * FORBIDDEN, CONFLICT when the project has 100 tokens.
     */
    createApiKey(principal: Principal, input: CreateApiKeyInput): Promise<{ apiKey: ApiKeyRow; secret: string }> {
      const data = parse(CreateApiKey, input);
      const confined = data.projectId != null;
      if (confined && input.kind !== undefined && data.kind !== 'PROJECT')
        throw badInput(['input', 'kind'], 'must be PROJECT when `projectId` is set');
      if (!confined && data.kind === 'PROJECT')
        throw badInput(['input', 'projectId'], 'is required for a project token');
      return create(principal, data, badInput(['input', 'projectId'], 'must be one of your projects'));
    },

    /** Creates a token for an own project. Throws NOT_FOUND for a project of another user. */
    createProjectToken(
      principal: Principal,
      input: CreateProjectTokenInput,
    ): Promise<{ apiKey: ApiKeyRow; secret: string }> {
      return create(principal, { ...parse(CreateProjectToken, input), kind: 'API_KEY' }, notFound('PROJECT_NOT_FOUND'));
    },

    /** Creates the first admin key of a new server. `secret` is set by the operator, or null to generate one. */
    async createFirstAdminKey(
      given: string | null,
      handOver: (secret: string) => void = () => {},
    ): Promise<string | null> {
      return db.prisma.$transaction(async (transaction) => {
        await users.lockAdmins(transaction);
        if ((await users.countAdmins(transaction)) > 0) return null;
        // A key that was the first one earlier and no longer exists is not restored.
        const hash = given === null ? null : Uint8Array.from(hashSecret(given));
        const spent = hash && (await transaction.token.count({ where: { OR: [{ hash }, { previousHash: hash }] } }));
        const secret = given === null || spent ? newSecret('API_KEY') : given;
        const grant: Grant = { role: 'ADMIN', allScopes: true, scopes: [], projectId: null };
        const key = await insertApiKey(transaction, secret, {
          ...grant,
          kind: 'API_KEY',
          name: 'First admin key',
          expiresAt: null,
          creatorId: null,
          creatorTokenIds: [],
        });
        await audit.record(transaction, {
          action: 'api_key.create',
          actor: null,
          tokenId: null,
          client: { address: null, userAgent: null },
          target: { type: 'ApiKey', id: key.id },
          detail: { name: key.name, role: 'ADMIN', scopes: null },
        });
        if (secret !== given) handOver(secret);
        return secret;
      });
    },

    /**
     * Changes the given fields of a key. Null or absent fields are left unchanged: use `clear` to remove the name,
     * `allScopes` to remove the restriction to scopes and `neverExpires` to remove the expiry. Throws NOT_FOUND,
     * BAD_USER_INPUT, FORBIDDEN when the key has or would have more permissions than the principal, and CONFLICT for
     * the last administrator.
     */
    updateApiKey: (principal: Principal, id: number, input: UpdateApiKeyInput) => update(principal, allKeys, id, input),
    updateProjectToken: (principal: Principal, id: number, input: UpdateApiKeyInput) =>
      update(principal, ownProjects(principal), id, input),

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

    /**
     * Deletes a key with its user and everything that belongs to that user alone. Throws NOT_FOUND, CONFLICT for the
     * last admin, and FORBIDDEN for a key with more permissions than the principal.
     */
    deleteApiKey: (principal: Principal, id: number) => remove(principal, allKeys, id),
    deleteProjectToken: (principal: Principal, id: number) => remove(principal, ownProjects(principal), id),

    /** Returns a page of all keys that match the filter. */
    async listApiKeys(filter: TokenFilter, order: ListOrder, args: PageArgs, limit: number, query: object) {
      const page = order.page(args, limit);
      const where = { AND: [visible.apiKeys(), matching(filter), page.where] };
      return cut(await db.prisma.token.findMany({ ...query, ...page, where }), page);
    },

    countApiKeys: (filter: TokenFilter) =>
      db.prisma.token.count({ where: { AND: [visible.apiKeys(), matching(filter)] } }),

    /** Returns a page of the tokens of the projects that the principal owns. */
    async listProjectTokens(
      principal: Principal,
      filter: TokenFilter,
      order: ListOrder,
      args: PageArgs,
      limit: number,
      query: object,
    ) {
      const page = order.page(args, limit);
      const where = { AND: [visible.projectTokens(principal), matching(filter), page.where] };
      return cut(await db.prisma.token.findMany({ ...query, ...page, where }), page);
    },

    countProjectTokens: (principal: Principal, filter: TokenFilter) =>
      db.prisma.token.count({ where: { AND: [visible.projectTokens(principal), matching(filter)] } }),

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
        const expiresAt = checkedExpiry(lifetime, asked, 'expiresInDays');
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
            expiresAt: expiresAt === undefined ? lifetime.otherwise : expiresAt,
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
      revocations.endToken(id);
      return token;
    },

    async listPersonalAccessTokens(
      principal: Principal,
      filter: TokenFilter | null | undefined,
      order: ListOrder,
      args: PageArgs,
      limit: number,
      query: object,
    ) {
      const page = order.page(args, limit);
      const where = { AND: [visible.personalAccessTokens(principal), matching(filter), page.where] };
      return cut(await db.prisma.token.findMany({ ...query, ...page, where }), page);
    },

    countPersonalAccessTokens: (principal: Principal, filter?: TokenFilter | null) =>
      db.prisma.token.count({ where: { AND: [visible.personalAccessTokens(principal), matching(filter)] } }),
  };
}

export type TokensService = ReturnType<typeof createTokensService>;

const unnamed = 'Unnamed';

/** Returns the address of a key's user in Onyx's format; clients recognize users of keys by its domain. */
export const serviceAccountEmail = (name: string | null, userId: string): string =>
  `api_key__${name ?? unnamed}@${userId}onyxapikey.ai`.toLowerCase();

const summary = (key: ApiKeyRow): Prisma.InputJsonObject => ({
  name: key.name,
  role: key.user.role,
  scopes: key.allScopes ? null : key.scopes,
  projectId: key.projectId,
  expiresAt: key.expiresAt?.toISOString() ?? null,
  disabled: key.disabledAt !== null,
});
