import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { effectivePermissions, isPermission, type Role, rolePermissions, roles } from '../../authz/permissions.ts';
import { can, type Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, conflict, forbidden, notFound, parse, unauthenticated } from '../../errors.ts';
import type { Prisma, Token } from '../../generated/prisma/client.ts';
import { cut, ListOrder, type PageArgs } from '../../paging.ts';
import type { Database } from '../../store/database.ts';
import type { Revocations } from '../../store/revocations.ts';
import { type AuditService, by } from '../audit/audit.service.ts';
import { plainText } from '../input.ts';
import type { UsersService } from '../users/users.service.ts';
import { displaySecret, hashSecret, newSecret, prefixes } from './secret.ts';

const name = plainText(100).trim().min(1, 'must not be empty');
const scopes = z.array(z.string()).max(100);
const year = 365 * 24 * 3600 * 1000;
const expiry = z
  .date()
  .refine((date) => date.getTime() > Date.now(), 'must be in the future')
  .refine((date) => date.getTime() < Date.now() + 10 * year + year / 100, 'must be within 10 years');

const CreateApiKey = z.object({
  name: name.nullish(),
  role: z.enum(roles).default('BASIC'),
  scopes: scopes.nullish(),
  expiresAt: expiry.nullish(),
});
const UpdateApiKey = z.object({
  name: name.nullish(),
  role: z.enum(roles).nullish(),
  scopes: scopes.nullish(),
  expiresAt: expiry.nullish(),
  disabled: z.boolean().nullish(),
});
/** A week: long enough for any roll-out, short enough that a leaked secret does not live on. */
const maxOverlapMinutes = 7 * 24 * 60;
const RegenerateApiKey = z.object({ overlapMinutes: z.number().int().min(0).max(maxOverlapMinutes).default(0) });
const CreatePersonalAccessToken = z.object({
  name,
  expiresInDays: z.number().int().min(1).max(3650).nullish(),
  scopes: scopes.nullish(),
});

export type CreateApiKeyInput = z.input<typeof CreateApiKey>;
export type UpdateApiKeyInput = z.input<typeof UpdateApiKey>;
export type CreatePersonalAccessTokenInput = z.input<typeof CreatePersonalAccessToken>;

/** How many working personal access tokens one user may have. */
const maxPersonalTokens = 100;

export const apiKeyOrder = new ListOrder('apiKeys', [{ field: 'id', type: 'int', direction: 'asc' }]);
export const personalAccessTokenOrder = new ListOrder('personalAccessTokens', [
  { field: 'createdAt', type: 'date', direction: 'desc' },
  { field: 'id', type: 'int', direction: 'desc' },
]);

/** 23:59:59.999 UTC of the day that lies so many days ahead. */
export function endOfDay(days: number, now = new Date()): Date {
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate() + days, 23, 59, 59, 999));
}

/** What a token is to hold, once it is known to be no more than its maker holds. */
interface Grant {
  role: Role;
  allScopes: boolean;
  scopes: string[];
}

/** Throws FORBIDDEN when a grant holds anything that the principal does not. */
function within(principal: Principal, grant: Grant): Grant {
  const { allScopes, scopes, role } = grant;
  if (allScopes && principal.credential.scopes !== null)
    throw forbidden([], 'A token with scopes cannot make or change one without; name the scopes.');
  const excess = [...effectivePermissions(role, allScopes ? null : scopes)].filter((held) => !can(principal, held));
  if (excess.length > 0) throw forbidden(excess, 'A token cannot hold more than the one that makes or changes it.');
  return grant;
}

/** Reads the scopes asked for. Throws BAD_USER_INPUT for an empty list, an unknown scope or one beyond the role. */
function grantOf(role: Role, wanted: readonly string[] | null | undefined): Grant {
  if (wanted == null) return { role, allScopes: true, scopes: [] };
  const path = ['input', 'scopes'];
  if (wanted.length === 0) throw badInput(path, 'A scoped token must include at least one scope.');
  const held = rolePermissions(role);
  const unknown = wanted.filter((scope) => !isPermission(scope));
  if (unknown.length > 0) throw badInput(path, `Unsupported token scope(s): ${unknown.join(', ')}`);
  const beyond = wanted.filter((scope) => isPermission(scope) && !held.has(scope));
  if (beyond.length > 0) throw badInput(path, `Beyond the role ${role}: ${beyond.join(', ')}`);
  return { role, allScopes: false, scopes: [...new Set(wanted)] };
}

const secretColumns = (secret: string) => ({
  hash: Uint8Array.from(hashSecret(secret)),
  display: displaySecret(secret),
});

export type ApiKeyRow = Prisma.TokenGetPayload<{ include: { user: true } }>;

export function tokensService(db: Database, audit: AuditService, users: UsersService, revocations: Revocations) {
  async function findApiKey(transaction: Prisma.TransactionClient, id: number): Promise<ApiKeyRow> {
    const key = await transaction.token.findFirst({ where: { ...visible.apiKeys(), id }, include: { user: true } });
    if (!key) throw notFound('API key');
    return key;
  }

  /** Stores a new service account with its key. The caller has checked the grant. */
  function insertApiKey(
    transaction: Prisma.TransactionClient,
    secret: string,
    key: Grant & { name: string | null; expiresAt: Date | null; creatorId: string | null },
  ): Promise<ApiKeyRow> {
    const userId = randomUUID();
    return transaction.token.create({
      data: {
        ...secretColumns(secret),
        kind: 'API_KEY',
        name: key.name,
        allScopes: key.allScopes,
        scopes: key.scopes,
        expiresAt: key.expiresAt,
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

  return {
    /** Creates a service account and its key. Throws BAD_USER_INPUT, FORBIDDEN. */
    async createApiKey(principal: Principal, input: CreateApiKeyInput): Promise<{ apiKey: ApiKeyRow; secret: string }> {
      const data = parse(CreateApiKey, input);
      const grant = within(principal, grantOf(data.role, data.scopes));
      const secret = newSecret(prefixes.API_KEY);
      const apiKey = await db.prisma.$transaction(async (transaction) => {
        const key = await insertApiKey(transaction, secret, {
          ...grant,
          name: data.name ?? null,
          expiresAt: data.expiresAt ?? null,
          creatorId: principal.userId,
        });
        await audit.record(transaction, {
          ...by(principal),
          action: 'api_key.create',
          target: { type: 'ApiKey', id: key.id },
          detail: { name: key.name, role: grant.role, scopes: grant.allScopes ? null : grant.scopes },
        });
        return key;
      });
      return { apiKey, secret };
    },

    /** The first admin key of a new server. `secret` is the operator's own, or null for a generated one. */
    async createFirstAdminKey(given: string | null): Promise<string | null> {
      return db.prisma.$transaction(async (transaction) => {
        await users.lockAdmins(transaction);
        if ((await users.countAdmins(transaction)) > 0) return null;
        // A key that was the first one once, and is no longer, does not come back.
        const hash = given === null ? null : Uint8Array.from(hashSecret(given));
        const spent = hash && (await transaction.token.count({ where: { OR: [{ hash }, { previousHash: hash }] } }));
        const secret = given === null || spent ? newSecret(prefixes.API_KEY) : given;
        const grant: Grant = { role: 'ADMIN', allScopes: true, scopes: [] };
        const key = await insertApiKey(transaction, secret, {
          ...grant,
          name: 'First admin key',
          expiresAt: null,
          creatorId: null,
        });
        await audit.record(transaction, {
          action: 'api_key.create',
          actor: null,
          tokenId: null,
          client: { address: null, userAgent: null },
          target: { type: 'ApiKey', id: key.id },
          detail: { name: key.name, role: 'ADMIN', scopes: null },
        });
        return secret;
      });
    },

    /**
     * Changes what is given and leaves the rest: `undefined` keeps a value, `null` clears it. Throws NOT_FOUND,
     * BAD_USER_INPUT, FORBIDDEN when the key holds or would hold more than the principal, CONFLICT for the last admin.
     */
    async updateApiKey(principal: Principal, id: number, input: UpdateApiKeyInput): Promise<ApiKeyRow> {
      const data = parse(UpdateApiKey, input);
      const key = await db.prisma.$transaction(async (transaction) => {
        await users.lockAdmins(transaction);
        const before = await findApiKey(transaction, id);
        const held: Grant = { role: before.user.role, allScopes: before.allScopes, scopes: before.scopes };
        within(principal, held);
        const role = data.role ?? held.role;
        const keepsScopes = data.scopes === undefined && role === held.role;
        const grant = keepsScopes
          ? held
          : within(principal, grantOf(role, data.scopes === undefined ? narrowed(held, role) : data.scopes));
        const name = data.name === undefined ? before.name : data.name;
        const disabledAt =
          data.disabled == null ? before.disabledAt : data.disabled ? (before.disabledAt ?? new Date()) : null;
        const loses = held.role === 'ADMIN' && (role !== 'ADMIN' || disabledAt !== null || !grant.allScopes);
        if (loses) await users.keepAnAdmin(transaction, before.userId);
        const after = await transaction.token.update({
          where: { id },
          data: {
            name,
            allScopes: grant.allScopes,
            scopes: grant.scopes,
            disabledAt,
            ...(data.expiresAt !== undefined && { expiresAt: data.expiresAt }),
            user: {
              // A key that is off takes the tokens that its user made with it.
              update: {
                name: name ?? unnamed,
                email: serviceAccountEmail(name, before.userId),
                role,
                ...(data.disabled != null && { active: !data.disabled }),
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
        return after;
      });
      if (key.disabledAt) revocations.endUser(key.userId);
      return key;
    },

    /**
     * Gives a key a new secret. The old one dies at once, or works on for `overlapMinutes`. Throws NOT_FOUND, and
     * FORBIDDEN for a key that holds more than the principal: its secret would be a way up.
     */
    async regenerateApiKey(
      principal: Principal,
      id: number,
      input: { overlapMinutes?: number | null | undefined } = {},
    ): Promise<{ apiKey: ApiKeyRow; secret: string }> {
      const { overlapMinutes } = parse(RegenerateApiKey, { overlapMinutes: input.overlapMinutes ?? undefined });
      const secret = newSecret(prefixes.API_KEY);
      const apiKey = await db.prisma.$transaction(async (transaction) => {
        await users.lockAdmins(transaction);
        const before = await findApiKey(transaction, id);
        within(principal, { role: before.user.role, allScopes: before.allScopes, scopes: before.scopes });
        const overlap =
          overlapMinutes > 0
            ? { previousHash: before.hash, previousExpiresAt: new Date(Date.now() + overlapMinutes * 60_000) }
            : { previousHash: null, previousExpiresAt: null };
        const after = await transaction.token.update({
          where: { id },
          data: { ...secretColumns(secret), ...overlap },
          include: { user: true },
        });
        await audit.record(transaction, {
          ...by(principal),
          action: 'api_key.regenerate',
          target: { type: 'ApiKey', id },
          detail: { overlapMinutes },
        });
        return after;
      });
      if (overlapMinutes === 0) revocations.endToken(id);
      return { apiKey, secret };
    },

    /**
     * Deletes a key with its user and everything that is that user's alone. Throws NOT_FOUND, CONFLICT for the last
     * admin, and FORBIDDEN for a key that holds more than the principal.
     */
    async deleteApiKey(principal: Principal, id: number): Promise<{ id: number; userId: string }> {
      const userId = await db.prisma.$transaction(async (transaction) => {
        await users.lockAdmins(transaction);
        const key = await findApiKey(transaction, id);
        within(principal, { role: key.user.role, allScopes: key.allScopes, scopes: key.scopes });
        if (key.user.role === 'ADMIN') await users.keepAnAdmin(transaction, key.userId);
        await audit.record(transaction, {
          ...by(principal),
          action: 'api_key.delete',
          target: { type: 'ApiKey', id },
          detail: summary(key),
        });
        await users.erase(transaction, key.userId);
        return key.userId;
      });
      revocations.endUser(userId);
      return { id, userId };
    },

    async listApiKeys(args: PageArgs, limit: number, query: object) {
      const page = apiKeyOrder.page(args, limit);
      const rows = await db.prisma.token.findMany({
        ...query,
        ...page,
        where: { AND: [visible.apiKeys(), page.where] },
      });
      return cut(rows, page);
    },

    countApiKeys: () => db.prisma.token.count({ where: visible.apiKeys() }),

    /** Creates a token that acts as its maker. Throws BAD_USER_INPUT, FORBIDDEN, CONFLICT at the limit of 100. */
    async createPersonalAccessToken(
      principal: Principal,
      input: CreatePersonalAccessTokenInput,
    ): Promise<{ personalAccessToken: Token; secret: string }> {
      const data = parse(CreatePersonalAccessToken, input);
      const grant = within(principal, grantOf(principal.role, data.scopes));
      const secret = newSecret(prefixes.PERSONAL);
      const personalAccessToken = await db.prisma.$transaction(async (transaction) => {
        // The user's row orders two creations that race for the last place.
        const [owner] = await transaction.$queryRaw<
          object[]
        >`SELECT 1 FROM "User" WHERE "id" = ${principal.userId}::uuid FOR UPDATE`;
        if (!owner) throw unauthenticated();
        const count = await transaction.token.count({ where: visible.personalAccessTokens(principal) });
        if (count >= maxPersonalTokens)
          throw conflict(`A user has at most ${maxPersonalTokens} personal access tokens.`);
        const token = await transaction.token.create({
          data: {
            ...secretColumns(secret),
            kind: 'PERSONAL',
            name: data.name,
            allScopes: grant.allScopes,
            scopes: grant.scopes,
            expiresAt: data.expiresInDays == null ? null : endOfDay(data.expiresInDays),
            userId: principal.userId,
            creatorId: principal.userId,
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

    /** Ends one of the principal's own tokens. Throws NOT_FOUND for a missing, foreign, expired or revoked one. */
    async revokePersonalAccessToken(principal: Principal, id: number): Promise<Token> {
      const token = await db.prisma.$transaction(async (transaction) => {
        const where = { ...visible.personalAccessTokens(principal), id };
        const found = await transaction.token.findFirst({ where });
        if (!found) throw notFound('Token');
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

    async listPersonalAccessTokens(principal: Principal, args: PageArgs, limit: number, query: object) {
      const page = personalAccessTokenOrder.page(args, limit);
      const rows = await db.prisma.token.findMany({
        ...query,
        ...page,
        where: { AND: [visible.personalAccessTokens(principal), page.where] },
      });
      return cut(rows, page);
    },

    countPersonalAccessTokens: (principal: Principal) =>
      db.prisma.token.count({ where: visible.personalAccessTokens(principal) }),
  };
}

export type TokensService = ReturnType<typeof tokensService>;

const unnamed = 'Unnamed';

/** The address of the user behind a key, as Onyx writes it; clients tell key users by its ending. */
const serviceAccountEmail = (name: string | null, userId: string): string =>
  `api_key__${name ?? unnamed}@${userId}onyxapikey.ai`.toLowerCase();

/** The scopes that survive a change of role, null when there were none to begin with. */
function narrowed(held: Grant, role: Role): string[] | null {
  if (held.allScopes) return null;
  const allowed = rolePermissions(role);
  const kept = held.scopes.filter((scope) => isPermission(scope) && allowed.has(scope));
  if (kept.length === 0) throw badInput(['input', 'role'], `none of the key’s scopes is within the role ${role}`);
  return kept;
}

const summary = (key: ApiKeyRow): Prisma.InputJsonObject => ({
  name: key.name,
  role: key.user.role,
  scopes: key.allScopes ? null : key.scopes,
  expiresAt: key.expiresAt?.toISOString() ?? null,
  disabled: key.disabledAt !== null,
});
