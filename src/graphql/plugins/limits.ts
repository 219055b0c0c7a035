import { costLimitPlugin } from '@escape.tech/graphql-armor-cost-limit';
import { maxAliasesPlugin } from '@escape.tech/graphql-armor-max-aliases';
import { maxDepthPlugin } from '@escape.tech/graphql-armor-max-depth';
import { maxDirectivesPlugin } from '@escape.tech/graphql-armor-max-directives';
import { maxTokensPlugin } from '@escape.tech/graphql-armor-max-tokens';
import { GraphQLError, Kind, type SelectionSetNode, type ValidationRule } from 'graphql';
import type { Plugin } from 'graphql-yoga';

export type QueryLimits = Readonly<
  Record<'characters' | 'tokens' | 'depth' | 'aliases' | 'directives' | 'cost' | 'repeats', number>
>;
type Limit = keyof QueryLimits;

/** Says in an error which limit it stands for. */
const refusal = (limit: Limit) => ({ code: 'BAD_USER_INPUT', limit });

/** How often one selection set may name one field, under whatever alias. */
const maxRepeats =
  (most: number): ValidationRule =>
  (context) => ({
    SelectionSet({ selections }: SelectionSetNode) {
      const counts = new Map<string, number>();
      for (const selection of selections) {
        if (selection.kind !== Kind.FIELD) continue;
        const count = (counts.get(selection.name.value) ?? 0) + 1;
        counts.set(selection.name.value, count);
        if (count !== most + 1) continue;
        const message = `The field ${selection.name.value} is repeated more than ${most} times.`;
        context.reportError(new GraphQLError(message, { nodes: selection, extensions: refusal('repeats') }));
      }
    },
  });

/** Fields that take a password: an attempt is a request of its own, so that limits on requests are limits on guesses. */
const guesses = new Set(['login', 'requestToken', 'register', 'changePassword', 'acceptInvite']);

/** Fields that have a model work: a request has one turn, so that limits on requests are limits on turns. */
const turns = new Set([
  ...['sendChatMessage', 'chatTurn', 'embedTurn'],
  ...['createChatCompletion', 'chatCompletion', 'createEmbeddings', 'createImage'],
]);

const onceEach: ValidationRule = (context) => {
  const counts = [guesses, turns].map((names) => ({ names, count: 0 }));
  return {
    Field(node) {
      for (const group of counts) {
        if (!group.names.has(node.name.value) || ++group.count !== 2) continue;
        const message = `A document may have one of ${[...group.names].join(', ')}, and that once.`;
        context.reportError(new GraphQLError(message, { nodes: node, extensions: refusal('repeats') }));
      }
    },
  };
};

/**
 * Refuses, before it runs, what would cost too much: each limit still passes, one above does not. `refused` hears of
 * every refusal.
 */
export function useQueryLimits(limits: QueryLimits, refused: (limit: string) => void): Plugin[] {
  const marked = (limit: Limit) => ({
    n: limits[limit],
    onReject: [(_context: unknown, error: GraphQLError) => void Object.assign(error.extensions, refusal(limit))],
  });
  const repeats = maxRepeats(limits.repeats);
  const { n: maxCost, ...costs } = marked('cost');
  return [
    maxTokensPlugin(marked('tokens')),
    maxDepthPlugin({ ...marked('depth'), flattenFragments: true, ignoreIntrospection: true }),
    // The default allows any number of aliases of __typename.
    maxAliasesPlugin({ ...marked('aliases'), allowList: [] }),
    maxDirectivesPlugin(marked('directives')),
    costLimitPlugin({ ...costs, maxCost, flattenFragments: true, ignoreIntrospection: true }),
    {
      // Space and comments are no tokens, and where an error stands is found by counting lines from the start.
      onParams({ params, setResult }) {
        if (typeof params.query !== 'string' || params.query.length <= limits.characters) return;
        const message = `The document is longer than ${limits.characters} characters; send long values as variables.`;
        setResult({ errors: [new GraphQLError(message, { extensions: refusal('characters') })] });
      },
      onValidate({ addValidationRule }) {
        addValidationRule(repeats);
        addValidationRule(onceEach);
      },
      onExecutionResult({ result, setResult }) {
        if (!result || !('errors' in result)) return;
        const exceeded = new Set(result.errors?.map(({ extensions }) => extensions?.limit));
        exceeded.delete(undefined);
        if (exceeded.size === 0) return;
        for (const limit of exceeded) refused(String(limit));
        // 400 whatever media type the caller prefers, which is not so for other errors of a document.
        setResult({ ...result, extensions: { http: { status: 400 } } });
      },
    },
  ] as Plugin[];
}
