import { type DocumentNode, Kind, type OperationDefinitionNode, type SelectionSetNode } from 'graphql';

/** Adds the names of the fields that a selection has at the root of a document. */
function addRootFields(document: DocumentNode, { selections }: SelectionSetNode, names: Set<string>): void {
  for (const selection of selections) {
    if (selection.kind === Kind.FIELD) names.add(selection.name.value);
    else if (selection.kind === Kind.INLINE_FRAGMENT) addRootFields(document, selection.selectionSet, names);
    else
      for (const each of document.definitions)
        if (each.kind === Kind.FRAGMENT_DEFINITION && each.name.value === selection.name.value)
          addRootFields(document, each.selectionSet, names);
  }
}

const rootFields = new WeakMap<OperationDefinitionNode, string>();

/**
 * Returns the root field of an operation by its name in the schema, never an alias, or `multiple` for several. The
 * document must be valid.
 */
export function rootFieldOf(document: DocumentNode, operation: OperationDefinitionNode): string {
  let field = rootFields.get(operation);
  if (field === undefined) {
    const names = new Set<string>();
    addRootFields(document, operation.selectionSet, names);
    const [first = 'none', ...rest] = names;
    field = rest.length === 0 ? first : 'multiple';
    rootFields.set(operation, field);
  }
  return field;
}
