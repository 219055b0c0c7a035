import {
  type DocumentNode,
  type FieldNode,
  type GraphQLCompositeType,
  type GraphQLField,
  type GraphQLObjectType,
  type GraphQLSchema,
  getArgumentValues,
  getNamedType,
  getNullableType,
  isCompositeType,
  isListType,
  isObjectType,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql';
import { fieldCollector } from './field-collector.ts';
import { freeFields, isPaged, type ListSize, pageFields, pageSize, sizesOf } from './plugins/list-size.ts';

export interface OperationToPrice {
  schema: GraphQLSchema;
  document: DocumentNode;
  operation: OperationDefinitionNode;
  /** Coerced variable values, including the defaults that the operation declares. */
  variableValues: Record<string, unknown>;
}

/** List sizes that a field declares for the lists of the object that it returns. */
type InheritedSizes = ReadonlyMap<string, number>;

const nothingInherited: InheritedSizes = new Map();

/**
 * Estimates the number of objects in the response to an operation. Each object counts as 1, and its selections are
 * counted once per object. Below a list, they are multiplied by the page size (`first` or `last`; default: 20, maximum:
 * 100) or by the size that the list declares. Scalars, introspection, and the edges and `pageInfo` of connections are
 * free. For an interface or a union, the most expensive type counts.
 *
 * Fields are merged as the executor merges them, so that a field that several fragments select counts once. The
 * operation must be valid.
 */
export function costOf({ schema, document, operation, variableValues }: OperationToPrice): number {
  const collect = fieldCollector({ schema, document, variableValues });
  /**
   * Caches costs by type, selection sets and inherited sizes. Without this cache, nested fragments take exponential
   * time.
   */
  const known = new Map<string, number>();
  const ids = new Map<SelectionSetNode, number>();
  const idOf = (selectionSet: SelectionSetNode): number => {
    const id = ids.get(selectionSet) ?? ids.size;
    ids.set(selectionSet, id);
    return id;
  };

  function ofObject(type: GraphQLObjectType, selectionSets: SelectionSetNode[], inherited: InheritedSizes): number {
    const key = `${type.name} ${selectionSets.map(idOf)} ${[...inherited]}`;
    const found = known.get(key);
    if (found !== undefined) return found;
    let cost = 0;
    for (const nodes of collect(type, selectionSets).values()) cost += ofField(type, nodes, inherited);
    known.set(key, cost);
    return cost;
  }

  function ofType(type: GraphQLCompositeType, selectionSets: SelectionSetNode[], inherited: InheritedSizes): number {
    if (isObjectType(type)) return ofObject(type, selectionSets, inherited);
    return Math.max(0, ...schema.getPossibleTypes(type).map((each) => ofObject(each, selectionSets, inherited)));
  }

  function ofField(parent: GraphQLObjectType, nodes: FieldNode[], inherited: InheritedSizes): number {
    const [node] = nodes as [FieldNode];
    // Introspection fields are not in this map.
    const field = parent.getFields()[node.name.value];
    if (!field) return 0;
    const type = getNamedType(field.type);
    if (!isCompositeType(type)) return 0;
    const args = argumentsOf(field, node, variableValues);
    const size = (stated: ListSize): number => {
      const items = typeof stated === 'number' ? stated : stated(args);
      return Number.isFinite(items) ? Math.max(0, items) : 0;
    };
    const { listSize, sizedFields } = sizesOf(field);
    const sized = new Map(Object.entries(sizedFields ?? {}).map(([list, stated]) => [list, size(stated)]));
    if (isPaged(field)) for (const list of pageFields) sized.set(list, size(pageSize));
    const below = ofType(
      type,
      nodes.flatMap(({ selectionSet }) => selectionSet ?? []),
      sized.size > 0 ? sized : nothingInherited,
    );
    const each = below + (freeFields.has(field.name) ? 0 : 1);
    if (!isListType(getNullableType(field.type))) return each;
    const stated = listSize ?? inherited.get(field.name) ?? (isPaged(field) ? pageSize : undefined);
    return stated === undefined ? each : size(stated) * each;
  }

  const root = schema.getRootType(operation.operation);
  if (!root) return 0;
  return Math.min(ofObject(root, [operation.selectionSet], nothingInherited), Number.MAX_SAFE_INTEGER);
}

/** Returns the values of the arguments of a field, or no values when they are invalid. */
function argumentsOf(
  field: GraphQLField<unknown, unknown>,
  node: FieldNode,
  variableValues: Record<string, unknown>,
): Record<string, unknown> {
  try {
    return getArgumentValues(field, node, variableValues);
  } catch {
    // The field reports this error during execution and returns no objects.
    return {};
  }
}
