import { type DocumentNode, GraphQLError, visit } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import type { Context } from '../../context.ts';

const seen = new WeakMap<DocumentNode, boolean>();

function introspects(document: DocumentNode): boolean {
  let found = seen.get(document);
  if (found === undefined) {
    found = false;
    visit(document, {
      Field({ name }) {
        found ||= name.value === '__schema' || name.value === '__type';
      },
    });
    seen.set(document, found);
  }
  return found;
}

/**
 * Allows introspection for authenticated callers, and for anonymous callers when `open` is set. Decided per caller, and
 * therefore not cached.
 */
export function useIntrospectionGate(open: boolean): Plugin<Context> {
  return {
    onExecute({ args, setResultAndStopExecution }) {
      if (open || (args.contextValue as Context).principal || !introspects(args.document)) return;
      const extensions = { code: 'UNAUTHENTICATED', reason: 'CREDENTIAL_REQUIRED', http: { status: 400 } };
      setResultAndStopExecution({ errors: [new GraphQLError('Introspection requires a credential.', { extensions })] });
    },
  };
}
