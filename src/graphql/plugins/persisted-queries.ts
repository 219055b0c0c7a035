import { GraphQLError } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import type { GraphQLErrorCode } from '../../errors.ts';

const code: GraphQLErrorCode = 'PERSISTED_QUERY_NOT_SUPPORTED';

/** Returns whether a request names a stored document by its hash, as clients with persisted queries do. */
function namesStoredDocument({ query, extensions }: { query?: unknown; extensions?: unknown }): boolean {
  if (query != null && query !== '') return false;
  const { persistedQuery } = (extensions ?? {}) as { persistedQuery?: { sha256Hash?: unknown } | null };
  return persistedQuery?.sha256Hash != null;
}

/**
 * Rejects a request that has the hash of a document and no document. Clients of Apollo and urql recognize the code and
 * the message, send the whole document, and do not send hashes again.
 */
export function usePersistedQueryFallback(): Plugin {
  return {
    onParams({ params }) {
      if (!namesStoredDocument(params)) return;
      const extensions = { code, http: { status: 400, spec: true } };
      // Thrown, since a result would not keep Yoga from requiring a document.
      throw new GraphQLError('PersistedQueryNotSupported', { extensions });
    },
  };
}
