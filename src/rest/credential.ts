import { prefixOf } from '../authz/secret.ts';

/** The cookie of a login session, with the name that existing clients use. */
export const sessionCookie = 'fastapiusersauth';

/**
 * Where a path reads the credential. `bearer` is `Authorization: Bearer …`. `onyx` reads `X-Onyx-Authorization` first,
 * then `Authorization`, each with or without the scheme for `on_…` keys (Onyx contract 1.1). `anythingllm` takes the
 * text after any scheme word and one space in `Authorization` (AnythingLLM contract 2.1).
 */
export type Accept = 'bearer' | 'onyx' | 'anythingllm';

/**
 * Returns the credential in a request's headers, or null when there is none. A text that cannot be a secret is returned
 * unchanged and is rejected like any other credential that does not work.
 */
export function credentialOf(headers: Headers, accept: Accept): string | null {
  const header = (accept === 'onyx' && headers.get('x-onyx-authorization')) || headers.get('authorization');
  // GraphiQL starts with an empty `Bearer`.
  if (header === null || /^\s*(Bearer\s*)?$/i.test(header)) return null;
  if (accept === 'anythingllm') return header.split(' ')[1] || unreadable(header);
  const bearer = /^Bearer +(.*)$/is.exec(header)?.[1];
  if (bearer !== undefined) return bearer.trim();
  const bare = header.trim();
  // Another scheme, or a personal access token without a scheme, does not work.
  return accept === 'onyx' && bare.startsWith('on_') ? bare : unreadable(bare);
}

const unreadable = (header: string): string => `not a bearer token: ${header.length} characters`;

/** Returns the secret of a login session in the session cookie, or null. No other secret is accepted in a cookie. */
export function sessionOf(headers: Headers): string | null {
  for (const part of headers.get('cookie')?.split(';') ?? []) {
    const [name, value] = part.split('=', 2);
    if (name?.trim() === sessionCookie && value?.trim().startsWith(prefixOf('SESSION'))) return value.trim();
  }
  return null;
}
