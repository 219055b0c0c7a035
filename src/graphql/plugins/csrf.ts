import type { Plugin } from 'graphql-yoga';
import { requestError } from '../errors.ts';

/** Headers that a page of another origin cannot send without a preflight request. */
const proofs = ['authorization', 'x-graphql-yoga-csrf', 'apollo-require-preflight', 'x-apollo-operation-name'];
/** Content types that a form of another origin can send without a preflight request. */
const simple = ['application/x-www-form-urlencoded', 'multipart/form-data', 'text/plain'];

/**
 * Prevents cross-site request forgery: rejects a GET, or a POST with a content type that forms can have, unless a
 * header proves that a browser would have sent a preflight request.
 */
export function useCsrfPrevention(): Plugin {
  return {
    onRequestParse({ request }) {
      // Other methods require a preflight request, and are rejected anyway.
      if (request.method !== 'GET' && request.method !== 'POST') return;
      const type = (request.headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
      const asked = request.method === 'POST' && type !== '' && !simple.includes(type);
      if (asked || proofs.some((name) => request.headers.has(name))) return;
      throw requestError(
        400,
        `Send JSON with POST, or include one of the headers ${proofs.join(', ')} (CSRF protection).`,
      );
    },
  };
}
