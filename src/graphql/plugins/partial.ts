import { GraphQLError } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { place } from '../errors.ts';

/**
 * Keeps the status of a response at 200 when one root field returned a value and another one failed, because clients
 * discard the body of a 401 or 429. The errors in the body do not change.
 */
export function usePartialStatus(): Plugin {
  return {
    onExecutionResult({ result, setResult }) {
      if (!result || !('data' in result) || !result.errors) return;
      const answered = Object.values(result.data ?? {}).some((value) => value !== null);
      if (!answered || !result.errors.some(({ extensions }) => extensions.http)) return;
      const errors = result.errors.map((error) => {
        const { http: _, ...extensions } = error.extensions;
        const { originalError } = error;
        return new GraphQLError(error.message, {
          ...place(error),
          extensions,
          ...(originalError && { originalError }),
        });
      });
      setResult({ ...result, errors });
    },
  };
}
