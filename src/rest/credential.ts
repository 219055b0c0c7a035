/**
 * The secret that a request carries, or null when it carries none. What is presented but cannot be a secret comes back
 * as it is, to be refused like any other that opens nothing.
 *
 * `bearer` is `Authorization: Bearer …`. `onyx` reads `X-Onyx-Authorization` first, then `Authorization`, each with or
 * without the scheme for `on_…` keys (contract 1.1).
 */
export function credentialOf(headers: Headers, accept: 'bearer' | 'onyx'): string | null {
  const header = (accept === 'onyx' && headers.get('x-onyx-authorization')) || headers.get('authorization');
  // GraphiQL opens with an empty `Bearer` to be filled in.
  if (header === null || /^\s*(Bearer\s*)?$/i.test(header)) return null;
  const bearer = /^Bearer +(.*)$/is.exec(header)?.[1];
  if (bearer !== undefined) return bearer.trim();
  const bare = header.trim();
  // Another scheme, or a bare personal token, opens nothing.
  return accept === 'onyx' && bare.startsWith('on_') ? bare : `not a bearer token: ${bare.length} characters`;
}
