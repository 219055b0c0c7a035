import {
  defaultFieldResolver,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLError,
  type GraphQLOutputType,
  type GraphQLResolveInfo,
  type GraphQLSchema,
  type GraphQLTypeResolver,
  getArgumentValues,
  isNonNullType,
  locatedError,
  type OperationDefinitionNode,
  responsePathAsArray,
} from 'graphql';
import type { DirectRead, FieldPlan } from './plan.ts';

export type Path = GraphQLResolveInfo['path'];

/** One execution of an operation. */
export interface Run {
  schema: GraphQLSchema;
  operation: OperationDefinitionNode;
  fragments: Record<string, FragmentDefinitionNode>;
  rootValue: unknown;
  context: unknown;
  variableValues: Record<string, unknown>;
  errors: GraphQLError[];
  /** Called with every error of a field. */
  onError: (error: unknown) => void;
  typeResolver: GraphQLTypeResolver<unknown, unknown>;
}

export const isPromise = (value: unknown): value is Promise<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';

/** Returns the `info` argument of the resolver of a field. */
export const infoOf = (run: Run, { field, nodes, parentType }: FieldPlan, path: Path): GraphQLResolveInfo => ({
  fieldName: field.name,
  fieldNodes: nodes,
  returnType: field.type,
  parentType,
  path,
  schema: run.schema,
  fragments: run.fragments,
  rootValue: run.rootValue,
  operation: run.operation,
  variableValues: run.variableValues,
});

/** The place of a value in the response, and the type that decides whether it can be null. */
interface Place {
  nodes: readonly FieldNode[];
  type: GraphQLOutputType;
  path: Path;
}

/**
 * Records an error at the place of a nullable value, whose result is then null. Throws the error at a non-null value, so
 * that the nearest nullable value around it becomes null.
 */
export function failField(run: Run, { nodes, type, path }: Place, error: unknown): null {
  run.onError(error);
  const located = locatedError(error, nodes, responsePathAsArray(path));
  if (isNonNullType(type)) throw located;
  run.errors.push(located);
  return null;
}

/** Executes the selected fields of an object at once. */
export function executeFields(
  run: Run,
  fields: readonly FieldPlan[],
  source: unknown,
  path: Path | undefined,
): Record<string, unknown> | Promise<Record<string, unknown>> {
  const data: Record<string, unknown> = {};
  let pending: Promise<unknown>[] | null = null;
  try {
    for (const field of fields) {
      const value = executeField(run, field, source, path);
      if (isPromise(value)) {
        // Keeps the place of the field in the response.
        set(data, field.key, undefined);
        pending ??= [];
        pending.push(value.then((completed) => set(data, field.key, completed)));
      } else set(data, field.key, value);
    }
  } catch (error) {
    // The fields that have begun must end before the response does.
    if (!pending) throw error;
    return Promise.all(pending).finally(() => {
      throw error;
    }) as Promise<never>;
  }
  return pending ? Promise.all(pending).then(() => data) : data;
}

/** Sets a property, also one that JavaScript treats differently in an assignment. */
function set(data: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__')
    Object.defineProperty(data, key, { value, enumerable: true, configurable: true, writable: true });
  else data[key] = value;
}

/** Executes the fields of a mutation one after the other. */
export async function executeSerially(
  run: Run,
  fields: readonly FieldPlan[],
  source: unknown,
): Promise<Record<string, unknown>> {
  const data: Record<string, unknown> = {};
  for (const field of fields) set(data, field.key, await executeField(run, field, source, undefined));
  return data;
}

function executeField(run: Run, plan: FieldPlan, source: unknown, parentPath: Path | undefined): unknown {
  const { directRead } = plan;
  if (directRead && plan.isLeaf && typeof source === 'object' && source !== null) {
    const value = (source as Record<string, unknown>)[directRead.property];
    if (value === null || (value !== undefined && typeof value !== 'function' && !isPromise(value)))
      return readLeaf(run, plan, parentPath, value);
  }
  return resolveField(run, plan, source, {
    prev: parentPath,
    key: plan.key,
    typename: plan.parentType.name,
  });
}

function readLeaf(run: Run, plan: FieldPlan, prev: Path | undefined, value: unknown): unknown {
  const { convert, onRead } = plan.directRead as DirectRead;
  try {
    onRead?.(value, run.context);
    const converted = convert && value !== null ? convert(value) : value;
    // A leaf needs no path to be completed.
    return plan.complete(run, plan, noPath, converted);
  } catch (error) {
    const path: Path = { prev, key: plan.key, typename: plan.parentType.name };
    return failField(run, { nodes: plan.nodes, type: plan.field.type, path }, error);
  }
}

const noPath: Path = { prev: undefined, key: '', typename: undefined };

function resolveField(run: Run, plan: FieldPlan, source: unknown, path: Path): unknown {
  const { field, nodes } = plan;
  const fail = (error: unknown) => failField(run, { nodes, type: field.type, path }, error);
  try {
    const args = field.args.length === 0 ? {} : getArgumentValues(field, nodes[0] as FieldNode, run.variableValues);
    const resolve = field.resolve ?? defaultFieldResolver;
    const result: unknown = resolve(source, args, run.context, infoOf(run, plan, path));
    const completed = isPromise(result)
      ? result.then((value) => plan.complete(run, plan, path, value))
      : plan.complete(run, plan, path, result);
    return isPromise(completed) ? completed.then(undefined, fail) : completed;
  } catch (error) {
    return fail(error);
  }
}
