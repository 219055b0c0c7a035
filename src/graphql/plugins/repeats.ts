import { GraphQLError, Kind, type SelectionSetNode, type ValidationRule } from 'graphql';
import type { Plugin } from 'graphql-yoga';

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
        if (count === most + 1)
          context.reportError(
            new GraphQLError(`The field ${selection.name.value} is repeated more than ${most} times.`, { nodes: selection }),
          );
      }
    },
  });

export function useMaxRepeats(most: number): Plugin {
  const rule = maxRepeats(most);
  return {
    onValidate({ addValidationRule }) {
      addValidationRule(rule);
    },
  };
}
