import { randomUUID } from 'node:crypto';
import { type ServiceAccountKind, serviceAccountKinds } from '../../authz/credentials.ts';
import type { Principal } from '../../authz/principal.ts';
import { secretColumns } from '../../authz/secret.ts';
import { visible } from '../../authz/visible.ts';
import { notFound } from '../../errors.ts';
import type { Prisma, Token } from '../../generated/prisma/client.ts';
import type { Grant } from './grants.ts';

export type ApiKeyRow = Prisma.TokenGetPayload<{ include: { user: true } }>;

/** Returns the grant of a key. */
export const grantHeldBy = (key: ApiKeyRow): Grant => ({
  role: key.user.role,
  allScopes: key.allScopes,
  scopes: key.scopes,
  projectId: key.projectId,
});

/** The keys that an operation administers, and their name in NOT_FOUND. */
export interface Sphere {
  where: Prisma.TokenWhereInput;
  notFound: 'API_KEY_NOT_FOUND' | 'PROJECT_TOKEN_NOT_FOUND';
}

export const allKeys: Sphere = { where: visible.apiKeys(), notFound: 'API_KEY_NOT_FOUND' };
export const ownProjects = (principal: Principal): Sphere => ({
  where: visible.projectTokens(principal),
  notFound: 'PROJECT_TOKEN_NOT_FOUND',
});

/** Returns the kind of a key. Lists and lookups of keys select no other kinds. */
export function keyKind(kind: Token['kind']): ServiceAccountKind {
  const known = serviceAccountKinds.find((name) => name === kind);
  if (!known) throw new Error(`must be the ID of an API key, not of a ${kind} token`);
  return known;
}

/** Returns a key. Throws NOT_FOUND outside the sphere. */
export async function findKey(transaction: Prisma.TransactionClient, sphere: Sphere, id: number): Promise<ApiKeyRow> {
  const where = { AND: [sphere.where, { id }] };
  const key = await transaction.token.findFirst({ where, include: { user: true } });
  if (!key) throw notFound(sphere.notFound);
  return key;
}

export type NewKey = Grant & {
  kind: ServiceAccountKind;
  name: string | null;
  expiresAt: Date | null;
  creatorId: string | null;
  creatorTokenIds: number[];
};

/** Stores a new service account with its key. The caller has checked the grant. */
export function insertApiKey(transaction: Prisma.TransactionClient, secret: string, key: NewKey): Promise<ApiKeyRow> {
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

export const unnamed = 'Unnamed';

/** Returns the address of a key's user in Onyx's format; clients recognize users of keys by its domain. */
export const serviceAccountEmail = (name: string | null, userId: string): string =>
  `api_key__${name ?? unnamed}@${userId}onyxapikey.ai`.toLowerCase();

/** Returns the properties of a key that the audit trail records. */
export const summary = (key: ApiKeyRow): Prisma.InputJsonObject => ({
  name: key.name,
  role: key.user.role,
  scopes: key.allScopes ? null : key.scopes,
  projectId: key.projectId,
  expiresAt: key.expiresAt?.toISOString() ?? null,
  disabled: key.disabledAt !== null,
});
