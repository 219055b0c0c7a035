import { prefixOf } from '../authz/secret.ts';

/** The cookie of a login session, with the name that existing clients use. */
export const sessionCookie = 'fastapiusersauth';

/** Where the requests of a family of clients contain their credential. */
export interface CredentialLocation {
  /**
   * Returns the credential in the headers of a request, or null when there is none. For a header without a credential,
   * returns a text that cannot be a secret, and that is rejected like any other credential that does not work.
   */
  read(headers: Headers): string | null;
  /** When the session cookie counts: before the headers, in a request without a credential in its headers, or never. */
  cookie: 'first' | 'fallback' | 'never';
}

/** Returns a header with a credential, or null for an absent or empty one. GraphiQL starts with an empty `Bearer`. */
export const filledHeader = (header: string | null): string | null =>
  header === null || /^\s*(Bearer\s*)?$/i.test(header) ? null : header;

/** Returns the text after the scheme `Bearer`, or null for another scheme. */
export const bearerOf = (header: string): string | null => /^Bearer +(.*)$/is.exec(header)?.[1]?.trim() ?? null;

/** Returns the text for a header that contains no credential. */
export const unreadable = (header: string): string => `not a bearer token: ${header.length} characters`;

/** `Authorization: Bearer …`, or the session cookie without such a header. */
export const bearerCredential: CredentialLocation = {
  read(headers) {
    const header = filledHeader(headers.get('authorization'));
    return header && (bearerOf(header) ?? unreadable(header.trim()));
  },
  cookie: 'fallback',
};

/** Returns the secret of a login session in the session cookie, or null. No other secret is accepted in a cookie. */
export function sessionOf(headers: Headers): string | null {
  for (const part of headers.get('cookie')?.split(';') ?? []) {
    const [name, value] = part.split('=', 2);
    if (name?.trim() === sessionCookie && value?.trim().startsWith(prefixOf('SESSION'))) return value.trim();
  }
  return null;
}
