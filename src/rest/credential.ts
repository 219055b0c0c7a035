import { prefixes } from '../modules/tokens/secret.ts';

/** The cookie in which a login session stands; the name is the one that existing clients know. */
export const sessionCookie = 'fastapiusersauth';

/**
 * Where a road looks for a credential. `bearer` is `Authorization: Bearer …`. `onyx` reads `X-Onyx-Authorization`
 * first, then `Authorization`, each with or without the scheme for `on_…` keys (Onyx contract 1.1). `anythingllm` takes
 * what follows any one word and a single space in `Authorization` (AnythingLLM contract 2.1).
 */
export type Accept = 'bearer' | 'onyx' | 'anythingllm';

/**
 * The secret that a request's headers carry, or null when they carry none. What is presented but cannot be a secret
 * comes back as it is, to be refused like any other that opens nothing.
 */
export function credentialOf(headers: Headers, accept: Accept): string | null {
  const header = (accept === 'onyx' && headers.get('x-onyx-authorization')) || headers.get('authorization');
  // GraphiQL opens with an empty `Bearer` to be filled in.
  if (header === null || /^\s*(Bearer\s*)?$/i.test(header)) return null;
  if (accept === 'anythingllm') return header.split(' ')[1] || unreadable(header);
  const bearer = /^Bearer +(.*)$/is.exec(header)?.[1];
  if (bearer !== undefined) return bearer.trim();
  const bare = header.trim();
  // Another scheme, or a bare personal token, opens nothing.
  return accept === 'onyx' && bare.startsWith('on_') ? bare : unreadable(bare);
}

const unreadable = (header: string): string => `not a bearer token: ${header.length} characters`;

/** The secret of a login session that a browser sends along by itself, or null. No other secret belongs in a cookie. */
export function sessionOf(headers: Headers): string | null {
  for (const part of headers.get('cookie')?.split(';') ?? []) {
    const [name, value] = part.split('=', 2);
    if (name?.trim() === sessionCookie && value?.trim().startsWith(prefixes.SESSION)) return value.trim();
  }
  return null;
}
