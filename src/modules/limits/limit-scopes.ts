import type { Principal } from '../../authz/principal.ts';
import type { RateLimit } from '../../generated/prisma/client.ts';

/** The scopes of a limit: which requests it counts together. */
export const limitScopes = ['GLOBAL', 'EACH_USER', 'EACH_TOKEN', 'ROLE', 'USER', 'TOKEN'] as const;
export type LimitScope = (typeof limitScopes)[number];
/** The scopes whose limits have no role, user or credential as their subject. */
export const generalScopes = ['GLOBAL', 'EACH_USER', 'EACH_TOKEN'] as const;

/** The field that names the subject of a scope. */
const subjectOf: Partial<Record<LimitScope, 'role' | 'userId' | 'tokenId'>> = {
  ROLE: 'role',
  USER: 'userId',
  TOKEN: 'tokenId',
};

/** Returns the keys of the limits that apply to a principal, the narrowest first. */
export const keysOf = ({ userId, role, credential: { tokenId } }: Principal): string[] => [
  `TOKEN:${tokenId}`,
  'EACH_TOKEN',
  `USER:${userId}`,
  'EACH_USER',
  `ROLE:${role}`,
  'GLOBAL',
];

/** Returns the key of a limit. It equals one of {@link keysOf} for each principal that the limit applies to. */
export const keyOf = ({
  scope,
  ...limit
}: Pick<RateLimit, 'role' | 'userId' | 'tokenId'> & { scope: LimitScope }): string => {
  const field = subjectOf[scope];
  return field ? `${scope}:${limit[field]}` : scope;
};

/** Returns the subject whose usage counts against a limit. */
export function counted(scope: LimitScope, { userId, role, credential: { tokenId } }: Principal) {
  if (scope === 'GLOBAL') return { subject: {}, key: 'global', name: 'this server' };
  if (scope === 'ROLE') return { subject: { role }, key: role, name: `the role ${role}` };
  if (scope === 'USER' || scope === 'EACH_USER') return { subject: { userId }, key: userId, name: 'this user' };
  return { subject: { tokenId }, key: tokenId, name: 'this credential' };
}

/** Returns whether only the caller's own usage counts against a limit. A project token does not act for its user. */
export const isOwn = (scope: LimitScope, { credential: { projectId } }: Principal): boolean =>
  scope === 'TOKEN' || scope === 'EACH_TOKEN' || (projectId === null && (scope === 'USER' || scope === 'EACH_USER'));
