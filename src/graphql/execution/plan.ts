import {
  type DocumentNode,
  defaultFieldResolver,
  type FieldNode,
  type GraphQLField,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNullableType,
  isLeafType,
  Kind,
  type OperationDefinitionNode,
  SchemaMetaFieldDef,
  TypeMetaFieldDef,
  TypeNameMetaFieldDef,
  visit,
} from 'graphql';
import { fieldCollector } from '../field-collector.ts';
import { type Complete, completion } from './complete.ts';

/**
 * How a field is read from its object without calling its resolver, for fields that return a stored property. Plugins
 * that wrap the resolver of such a field set this extension, with the effect of their wrapper.
 */
export interface DirectRead {
  property: string;
  /** Converts a value that is not null to the value of the field. */
  convert?: (value: unknown) => unknown;
  /** Called with each value before it is returned. An error that it throws is the error of the field. */
  onRead?: (value: unknown, context: unknown) => void;
}

/** A field of an operation, prepared for its execution. */
export interface FieldPlan {
  /** The key in the response. */
  key: string;
  field: GraphQLField<unknown, unknown>;
  /** The selections that are merged into this field. */
  nodes: readonly FieldNode[];
  parentType: GraphQLObjectType;
  /** Null for a field whose resolver must run. */
  directRead: DirectRead | null;
  complete: Complete;
  /** Whether the value is a scalar or an enum value, and not a list. */
  isLeaf: boolean;
  /** Returns the fields that are selected below this one, for an object of a type. */
  fieldsOf(type: GraphQLObjectType): readonly FieldPlan[];
}

/** An operation of a document, prepared for its execution with some values of its directives. */
export interface OperationPlan {
  rootFields(type: GraphQLObjectType): readonly FieldPlan[];
}

/** Maximum number of plans of one operation. They differ by the variables in `@skip` and `@include`. */
const maxPlans = 8;

interface Planned {
  /** The variables that decide which fields are selected. */
  conditions: readonly string[];
  plans: Map<string, OperationPlan>;
}

const planned = new WeakMap<OperationDefinitionNode, Planned>();

/** Returns the plan of an operation. Plans belong to their document, and are forgotten with it. */
export function planOf(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variableValues: Record<string, unknown>,
): OperationPlan {
  let known = planned.get(operation);
  if (!known) {
    known = { conditions: conditionsOf(document), plans: new Map() };
    planned.set(operation, known);
  }
  const key = known.conditions.map((name) => String(variableValues[name])).join(' ');
  let plan = known.plans.get(key);
  if (!plan) {
    plan = createPlan(schema, document, operation, variableValues);
    if (known.plans.size < maxPlans) known.plans.set(key, plan);
  }
  return plan;
}

/** Returns the names of the variables in the directives of a document. */
function conditionsOf(document: DocumentNode): readonly string[] {
  const names = new Set<string>();
  visit(document, {
    Directive(directive) {
      for (const { value } of directive.arguments ?? []) if (value.kind === Kind.VARIABLE) names.add(value.name.value);
    },
  });
  return [...names];
}

function createPlan(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variableValues: Record<string, unknown>,
): OperationPlan {
  // Only the variables of directives have an effect here, and they are part of the key.
  const collect = fieldCollector({ schema, document, variableValues });

  function fieldsBelow(selections: Parameters<typeof collect>[1]): FieldPlan['fieldsOf'] {
    const known = new Map<GraphQLObjectType, readonly FieldPlan[]>();
    return (type) => {
      let fields = known.get(type);
      if (!fields) {
        fields = [...collect(type, selections)].flatMap(([key, nodes]) => fieldPlan(type, key, nodes) ?? []);
        known.set(type, fields);
      }
      return fields;
    };
  }

  function fieldPlan(parentType: GraphQLObjectType, key: string, nodes: readonly FieldNode[]): FieldPlan | null {
    const field = definitionOf(schema, parentType, nodes[0]?.name.value ?? '');
    if (!field) return null;
    return {
      key,
      field,
      nodes,
      parentType,
      directRead: directReadOf(field),
      complete: completion(field.type),
      isLeaf: isLeafType(getNullableType(field.type)),
      fieldsOf: fieldsBelow(nodes.flatMap(({ selectionSet }) => selectionSet ?? [])),
    };
  }

  return { rootFields: fieldsBelow([operation.selectionSet]) };
}

function definitionOf(
  schema: GraphQLSchema,
  type: GraphQLObjectType,
  name: string,
): GraphQLField<unknown, unknown> | undefined {
  if (name === TypeNameMetaFieldDef.name) return TypeNameMetaFieldDef;
  if (type === schema.getQueryType()) {
    if (name === SchemaMetaFieldDef.name) return SchemaMetaFieldDef;
    if (name === TypeMetaFieldDef.name) return TypeMetaFieldDef;
  }
  return type.getFields()[name];
}

function directReadOf({ name, args, resolve, extensions }: GraphQLField<unknown, unknown>): DirectRead | null {
  if (args.length > 0) return null;
  const stated = extensions.directRead as DirectRead | undefined;
  if (stated) return stated;
  return resolve === undefined || resolve === defaultFieldResolver ? { property: name } : null;
}
