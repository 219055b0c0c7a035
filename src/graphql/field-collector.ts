import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  GraphQLIncludeDirective,
  type GraphQLObjectType,
  type GraphQLSchema,
  GraphQLSkipDirective,
  getDirectiveValues,
  isAbstractType,
  Kind,
  type SelectionNode,
  type SelectionSetNode,
} from 'graphql';

interface SelectionContext {
  schema: GraphQLSchema;
  document: DocumentNode;
  variableValues: Record<string, unknown>;
}

/** The fields that a request selects from an object, by their names in the response. */
type SelectedFields = Map<string, FieldNode[]>;

/**
 * Returns a function that collects the fields which selection sets select from objects of a type, merged as the
 * executor merges them. Follows fragments and leaves out what `@skip` and `@include` exclude.
 */
export function fieldCollector({ schema, document, variableValues }: SelectionContext) {
  const fragments = fragmentsOf(document);

  function isIncluded(node: SelectionNode): boolean {
    return (
      getDirectiveValues(GraphQLSkipDirective, node, variableValues)?.if !== true &&
      getDirectiveValues(GraphQLIncludeDirective, node, variableValues)?.if !== false
    );
  }

  /** Adds the fields that apply to objects of a type to `fields`, keyed by their names in the response. */
  function collect(
    type: GraphQLObjectType,
    { selections }: SelectionSetNode,
    fields: SelectedFields,
    seen: Set<string>,
  ): void {
    const applies = (condition: string): boolean => {
      const conditional = schema.getType(condition);
      return conditional === type || (isAbstractType(conditional) && schema.isSubType(conditional, type));
    };
    for (const node of selections) {
      if (!isIncluded(node)) continue;
      if (node.kind === Kind.FIELD) {
        const key = node.alias?.value ?? node.name.value;
        fields.set(key, [...(fields.get(key) ?? []), node]);
      } else if (node.kind === Kind.INLINE_FRAGMENT) {
        if (!node.typeCondition || applies(node.typeCondition.name.value))
          collect(type, node.selectionSet, fields, seen);
      } else if (!seen.has(node.name.value)) {
        seen.add(node.name.value);
        const fragment = fragments.get(node.name.value);
        if (fragment && applies(fragment.typeCondition.name.value)) collect(type, fragment.selectionSet, fields, seen);
      }
    }
  }

  return (type: GraphQLObjectType, selectionSets: readonly SelectionSetNode[]): SelectedFields => {
    const fields: SelectedFields = new Map();
    const seen = new Set<string>();
    for (const selectionSet of selectionSets) collect(type, selectionSet, fields, seen);
    return fields;
  };
}

/** Returns the fragments of a document by name. */
export const fragmentsOf = ({ definitions }: DocumentNode): Map<string, FragmentDefinitionNode> =>
  new Map(
    definitions.flatMap((definition) =>
      definition.kind === Kind.FRAGMENT_DEFINITION ? [[definition.name.value, definition] as const] : [],
    ),
  );
