import { forbidden, unauthenticated } from '../errors.ts';
import type { CredentialKind } from './credentials.ts';
import type { Permission, Role } from './permissions.ts';

/** The network side of a request, recorded in the audit trail and as "last used". */
export interface Client {
  address: string | null;
  userAgent: string | null;
  /** The value of the `Origin` header; null for a request without it. */
  origin?: string | null;
}

/** The token that authenticated a request. */
interface Credential {
  tokenId: number;
  kind: CredentialKind;
  name: string | null;
  /** Null: all permissions of the role. */
  scopes: readonly string[] | null;
  /** The project that the token is restricted to, or null. */
  projectId: number | null;
  /** The owner of that project, whose permissions limit those of the token. */
  projectOwnerId: string | null;
  /**
   * Set when the token was presented with the secret before its last regeneration, which works until its overlap ends.
   */
  superseded: boolean;
  /** The number of times that the credential had been regenerated when it was authenticated. */
  secretVersion: number;
  createdAt: Date;
  /**
   * The time when the token stops working: its own expiry, the end of its overlap, or the expiry of the key that it
   * depends on.
   */
  expiresAt: Date | null;
  lastUsedAt: Date | null;
}

/** The authenticated user and credential of a request. Built for every request from current database rows. */
export interface Principal {
  userId: string;
  name: string;
  email: string;
  role: Role;
  accountType: 'STANDARD' | 'SERVICE_ACCOUNT';
  credential: Credential;
  permissions: ReadonlySet<Permission>;
  client: Client;
  /**
   * The value of `performance.now()` when the credential was looked up. A credential that is revoked later closes the
   * connections that it opened.
   */
  authenticatedAt: number;
}

/** Null for an anonymous request. */
export type Viewer = Principal | null;

export const can = (viewer: Viewer, permission: Permission): boolean => viewer?.permissions.has(permission) ?? false;

/** Returns the message and, if the caller may configure the server, adds the name of the setting to change. */
export const withSetting = (viewer: Viewer, message: string, setting: string): string =>
  can(viewer, 'manage:settings') ? `${message} Set ${setting} to enable it.` : message;

/** Returns the principal. Throws UNAUTHENTICATED for an anonymous request. */
export function signedIn(viewer: Viewer): Principal {
  if (!viewer) throw unauthenticated();
  return viewer;
}

/**
 * Returns the principal. Throws UNAUTHENTICATED for an anonymous request and FORBIDDEN, naming the missing permissions,
 * for a credential that lacks one of them.
 */
export function demand(viewer: Viewer, ...permissions: readonly Permission[]): Principal {
  const principal = signedIn(viewer);
  const missing = permissions.filter((permission) => !principal.permissions.has(permission));
  if (missing.length > 0) throw forbidden(missing);
  return principal;
}
