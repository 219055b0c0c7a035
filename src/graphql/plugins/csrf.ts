import { GraphQLError } from 'graphql';
import type { Plugin } from 'graphql-yoga';

/** Headers that a page of another origin cannot send without asking first. */
const proofs = ['authorization', 'x-graphql-yoga-csrf', 'apollo-require-preflight', 'x-apollo-operation-name'];
/** Content types that a form of another origin can send without asking first. */
const simple = ['application/x-www-form-urlencoded', 'multipart/form-data', 'text/plain'];

/**
 * Refuses what a page of another origin could make a browser send with the user's cookie: a GET, or a POST of a type
 * that forms have, unless a header shows that the browser would have asked first.
 */
export function useCsrfPrevention(): Plugin {
  return {
    onRequestParse({ request }) {
      // Other methods ask first, and are refused anyway.
      if (request.method !== 'GET' && request.method !== 'POST') return;
      const type = (request.headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
      const asked = request.method === 'POST' && type !== '' && !simple.includes(type);
      if (asked || proofs.some((name) => request.headers.has(name))) return;
      throw new GraphQLError(`Send JSON by POST, or one of the headers ${proofs.join(', ')}.`, {
        extensions: { code: 'BAD_USER_INPUT', http: { status: 400 } },
      });
    },
  };
}
