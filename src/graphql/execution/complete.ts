import {
  GraphQLError,
  type GraphQLLeafType,
  GraphQLObjectType,
  type GraphQLOutputType,
  GraphQLString,
  isAbstractType,
  isLeafType,
  isListType,
  isNonNullType,
} from 'graphql';
import type { FieldPlan } from './plan.ts';
import { executeFields, failField, infoOf, isPromise, type Path, type Run } from './run.ts';

/** Converts the result of a resolver to its form in the response. Throws the error of the field. */
export type Complete = (run: Run, plan: FieldPlan, path: Path, value: unknown) => unknown;

const completions = new WeakMap<GraphQLOutputType, Complete>();

/** Returns the completion of a type. */
export function completion(type: GraphQLOutputType): Complete {
  let complete = completions.get(type);
  if (!complete) {
    complete = create(type);
    completions.set(type, complete);
  }
  return complete;
}

function create(type: GraphQLOutputType): Complete {
  if (isNonNullType(type)) return nonNull(completion(type.ofType));
  const complete = nullable(type);
  return (run, plan, path, value) => {
    if (value === null || value === undefined) return null;
    if (value instanceof Error) throw value;
    return complete(run, plan, path, value);
  };
}

function nullable(type: GraphQLOutputType): Complete {
  if (isLeafType(type)) return leaf(type);
  if (isListType(type)) return list(type.ofType);
  if (isAbstractType(type)) return abstract;
  if (type instanceof GraphQLObjectType) return object(type);
  throw new Error(`${type} is not an output type`);
}

function nonNull(complete: Complete): Complete {
  const present = (value: unknown, { parentType, field }: FieldPlan): unknown => {
    if (value !== null) return value;
    throw new Error(`Cannot return null for non-nullable field ${parentType.name}.${field.name}.`);
  };
  return (run, plan, path, value) => {
    const completed = complete(run, plan, path, value);
    return isPromise(completed) ? completed.then((each) => present(each, plan)) : present(completed, plan);
  };
}

function leaf(type: GraphQLLeafType): Complete {
  return (_run, _plan, _path, value) => {
    if (type === GraphQLString && typeof value === 'string') return value;
    const serialized = type.serialize(value);
    if (serialized === null || serialized === undefined)
      throw new Error(`Expected ${type}.serialize to return a value that is not null.`);
    return serialized;
  };
}

function list(itemType: GraphQLOutputType): Complete {
  const complete = completion(itemType);
  return (run, plan, path, value) => {
    if (typeof value !== 'object' || value === null || !(Symbol.iterator in value))
      throw new GraphQLError(
        `Expected Iterable, but did not find one for field "${plan.parentType.name}.${plan.field.name}".`,
      );
    const results: unknown[] = [];
    let waits = false;
    for (const item of value as Iterable<unknown>) {
      const itemPath: Path = { prev: path, key: results.length, typename: undefined };
      const completed = completeItem(run, { plan, complete, itemType }, itemPath, item);
      waits ||= isPromise(completed);
      results.push(completed);
    }
    return waits ? Promise.all(results) : results;
  };
}

interface Item {
  plan: FieldPlan;
  complete: Complete;
  itemType: GraphQLOutputType;
}

function completeItem(run: Run, { plan, complete, itemType }: Item, path: Path, item: unknown): unknown {
  const fail = (error: unknown) => failField(run, { nodes: plan.nodes, type: itemType, path }, error);
  try {
    const completed = isPromise(item)
      ? item.then((value) => complete(run, plan, path, value))
      : complete(run, plan, path, item);
    return isPromise(completed) ? completed.then(undefined, fail) : completed;
  } catch (error) {
    return fail(error);
  }
}

function object(type: GraphQLObjectType): Complete {
  return (run, plan, path, value) => {
    if (!type.isTypeOf) return executeFields(run, plan.fieldsOf(type), value, path);
    const isOf = type.isTypeOf(value, run.context, infoOf(run, plan, path));
    const complete = (matches: boolean) => {
      if (!matches) throw new GraphQLError(`Expected value of type "${type}".`, { nodes: plan.nodes });
      return executeFields(run, plan.fieldsOf(type), value, path);
    };
    return isPromise(isOf) ? isOf.then(complete) : complete(isOf);
  };
}

const abstract: Complete = (run, plan, path, value) => {
  const type = namedType(plan);
  const resolveType = type.resolveType ?? run.typeResolver;
  const name = resolveType(value, run.context, infoOf(run, plan, path), type);
  const complete = (resolved: string | undefined) => {
    const runtimeType = resolved === undefined ? undefined : run.schema.getType(resolved);
    if (!(runtimeType instanceof GraphQLObjectType) || !run.schema.isSubType(type, runtimeType))
      throw new GraphQLError(
        `Abstract type "${type}" must resolve to an Object type at runtime for field "${plan.parentType.name}.${plan.field.name}".`,
        { nodes: plan.nodes },
      );
    return object(runtimeType)(run, plan, path, value);
  };
  return isPromise(name) ? name.then(complete) : complete(name);
};

function namedType({ field }: FieldPlan) {
  let type: GraphQLOutputType = field.type;
  while (isNonNullType(type) || isListType(type)) type = type.ofType;
  if (!isAbstractType(type)) throw new Error(`${type} is not abstract`);
  return type;
}
