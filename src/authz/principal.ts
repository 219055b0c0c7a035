import { forbidden, unauthenticated } from '../errors.ts';
import type { Permission, Role } from './permissions.ts';

/** Where a request came from, for the audit trail and "last used". */
export interface Client {
  address: string | null;
  userAgent: string | null;
}

/** The token that opened a request. */
export interface Credential {
  tokenId: number;
  kind: 'API_KEY' | 'PERSONAL';
  name: string | null;
  /** null: everything that the role allows. */
  scopes: readonly string[] | null;
  createdAt: Date;
  expiresAt: Date | null;
}

/** Whoever calls, after their credential was checked. Made anew for every request from current rows. */
export interface Principal {
  userId: string;
  name: string;
  email: string;
  role: Role;
  accountType: 'STANDARD' | 'SERVICE_ACCOUNT';
  credential: Credential;
  permissions: ReadonlySet<Permission>;
  client: Client;
  /** When the credential was looked up, by `performance.now()`: what ends it later ends what it opened. */
  authenticatedAt: number;
}

/** null is a stranger: nobody presented a credential. */
export type Viewer = Principal | null;

export const can = (viewer: Viewer, permission: Permission): boolean => viewer?.permissions.has(permission) ?? false;

/** Throws UNAUTHENTICATED for a stranger. */
export function signedIn(viewer: Viewer): Principal {
  if (!viewer) throw unauthenticated();
  return viewer;
}

/** Throws UNAUTHENTICATED for a stranger and FORBIDDEN for a credential that lacks the permission. */
export function demand(viewer: Viewer, permission: Permission): Principal {
  const principal = signedIn(viewer);
  if (!principal.permissions.has(permission)) throw forbidden([permission]);
  return principal;
}
