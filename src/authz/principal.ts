import { forbidden, unauthenticated } from '../errors.ts';
import type { Permission, Role } from './permissions.ts';

/** Where a request came from, for the audit trail and "last used". */
export interface Client {
  address: string | null;
  userAgent: string | null;
  /** The origin of the page that made the request, as its browser says; absent where none did. */
  origin?: string | null;
}

/** The kinds of credentials, by what they act as: see `TokenKind` in prisma/schema.prisma. */
export type CredentialKind = 'API_KEY' | 'PERSONAL' | 'ANYTHINGLLM' | 'PROJECT' | 'SESSION' | 'EMBED';

/** The token that opened a request. */
export interface Credential {
  tokenId: number;
  kind: CredentialKind;
  name: string | null;
  /** null: everything that the role allows. */
  scopes: readonly string[] | null;
  /** The project that it is confined to; null: none. */
  projectId: number | null;
  /** The owner of that project, whose rights are its limit. */
  projectOwnerId: string | null;
  /** Whether it was presented by the secret before its last regeneration, which works on for a while. */
  superseded: boolean;
  /** The number of regenerations of the credential when it was authenticated. */
  secretVersion: number;
  createdAt: Date;
  /** When it stops to open anything, whatever the reason: its own expiry, its overlap's, or that of the key behind it. */
  expiresAt: Date | null;
  lastUsedAt: Date | null;
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

/** Returns a message that names the setting to change, if the caller can configure the server. */
export const withSetting = (viewer: Viewer, message: string, setting: string): string =>
  can(viewer, 'manage:settings') ? `${message} Set ${setting} to enable it.` : message;

/** Throws UNAUTHENTICATED for a stranger. */
export function signedIn(viewer: Viewer): Principal {
  if (!viewer) throw unauthenticated();
  return viewer;
}

/**
 * Returns the caller. Throws UNAUTHENTICATED for an anonymous request and FORBIDDEN, naming the missing permissions, for
 * a credential that lacks one of them.
 */
export function demand(viewer: Viewer, ...permissions: readonly Permission[]): Principal {
  const principal = signedIn(viewer);
  const missing = permissions.filter((permission) => !principal.permissions.has(permission));
  if (missing.length > 0) throw forbidden(missing);
  return principal;
}
