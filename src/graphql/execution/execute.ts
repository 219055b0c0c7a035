import {
  assertValidSchema,
  createSourceEventStream,
  type DocumentNode,
  defaultTypeResolver,
  type ExecutionArgs,
  type ExecutionResult,
  type FragmentDefinitionNode,
  GraphQLError,
  getVariableValues,
  Kind,
  type OperationDefinitionNode,
  OperationTypeNode,
} from 'graphql';
import type { Context } from '../../context.ts';
import { occurredIn } from '../../error-report.ts';
import { planOf } from './plan.ts';
import { executeFields, executeSerially, isPromise, type Run } from './run.ts';

interface Parts {
  operations: readonly OperationDefinitionNode[];
  fragments: Record<string, FragmentDefinitionNode>;
}

const known = new WeakMap<DocumentNode, Parts>();

function partsOf(document: DocumentNode): Parts {
  let parts = known.get(document);
  if (!parts) {
    const { definitions } = document;
    const operations = definitions.filter((each) => each.kind === Kind.OPERATION_DEFINITION);
    const fragments: Parts['fragments'] = Object.create(null);
    for (const each of definitions) if (each.kind === Kind.FRAGMENT_DEFINITION) fragments[each.name.value] = each;
    parts = { operations, fragments };
    known.set(document, parts);
  }
  return parts;
}

/** Returns the operation to execute. Throws GraphQLError. */
function operationOf({ operations }: Parts, name: string | null | undefined): OperationDefinitionNode {
  if (name == null && operations.length > 1)
    throw new GraphQLError('Must provide operation name if query contains multiple operations.');
  const operation = name == null ? operations[0] : operations.find((each) => each.name?.value === name);
  if (operation) return operation;
  throw new GraphQLError(name == null ? 'Must provide an operation.' : `Unknown operation named "${name}".`);
}

interface Prepared extends Omit<Run, 'rootValue' | 'errors'> {
  document: DocumentNode;
}

/** Returns the values that all executions of an operation with the same variables share, or the errors of the request. */
function prepare(args: ExecutionArgs): Prepared | { errors: readonly GraphQLError[] } {
  const { schema, document, operationName, contextValue: context } = args;
  assertValidSchema(schema);
  const parts = partsOf(document);
  let operation: OperationDefinitionNode;
  try {
    operation = operationOf(parts, operationName);
  } catch (error) {
    return { errors: [error as GraphQLError] };
  }
  const given = getVariableValues(schema, operation.variableDefinitions ?? [], args.variableValues ?? {}, {
    maxErrors: 50,
  });
  if (given.errors) return { errors: given.errors };
  const scope = (context as Partial<Context> | undefined)?.scope;
  return {
    document,
    schema,
    operation,
    fragments: parts.fragments,
    context,
    variableValues: given.coerced,
    onError: (error) => scope && occurredIn(scope, error),
    typeResolver: defaultTypeResolver,
  };
}

/**
 * Executes an operation as the specification of GraphQL and `execute` of graphql-js define. The merged fields
 * of a document, their definitions and the completion of their values are computed once per document. A field that returns a stored property is read without a resolver, see `DirectRead`. The document must be valid.
 */
export function execute(args: ExecutionArgs): ExecutionResult | Promise<ExecutionResult> {
  const prepared = prepare(args);
  return 'errors' in prepared ? prepared : executePrepared(prepared, args.rootValue);
}

function executePrepared(
  { document, ...prepared }: Prepared,
  rootValue: unknown,
): ExecutionResult | Promise<ExecutionResult> {
  const run: Run = { ...prepared, rootValue, errors: [] };
  const failed = (error: unknown): ExecutionResult => {
    run.errors.push(error as GraphQLError);
    return { data: null, errors: run.errors };
  };
  const ended = (data: Record<string, unknown>): ExecutionResult =>
    run.errors.length > 0 ? { errors: run.errors, data } : { data };
  try {
    const data = executeOperation(run, document);
    return isPromise(data) ? (data as Promise<Record<string, unknown>>).then(ended, failed) : ended(data);
  } catch (error) {
    return failed(error);
  }
}

function executeOperation(run: Run, document: DocumentNode) {
  const { schema, operation, rootValue, variableValues } = run;
  const type = schema.getRootType(operation.operation);
  if (!type)
    throw new GraphQLError(`Schema is not configured to execute ${operation.operation} operation.`, {
      nodes: operation,
    });
  const fields = planOf(schema, document, operation, variableValues).rootFields(type);
  return operation.operation === OperationTypeNode.MUTATION
    ? executeSerially(run, fields, rootValue)
    : executeFields(run, fields, rootValue, undefined);
}

/** Executes a subscription as `subscribe` of graphql-js does. The variables are read once for all events. */
export async function subscribe(
  args: ExecutionArgs,
): Promise<AsyncGenerator<ExecutionResult, void, void> | ExecutionResult> {
  const source = await createSourceEventStream(args);
  if (!(Symbol.asyncIterator in source)) {
    const { scope } = (args.contextValue ?? {}) as Partial<Context>;
    for (const { originalError } of source.errors ?? []) if (scope) occurredIn(scope, originalError);
    return source;
  }
  const prepared = prepare(args);
  if ('errors' in prepared) return prepared;
  return mapEvents(source, (rootValue) => executePrepared(prepared, rootValue));
}

/** Maps the events of a stream. Ending the result ends the stream at once, also while an event is awaited. */
function mapEvents(
  source: AsyncIterable<unknown>,
  map: (event: unknown) => ExecutionResult | Promise<ExecutionResult>,
): AsyncGenerator<ExecutionResult, void, void> {
  const iterator = source[Symbol.asyncIterator]();
  const mapped = async ({ done, value }: IteratorResult<unknown>): Promise<IteratorResult<ExecutionResult, void>> => {
    if (done) return { value: undefined, done: true };
    try {
      return { value: await map(value), done: false };
    } catch (error) {
      await iterator.return?.();
      throw error;
    }
  };
  const generator = {
    next: async () => mapped(await iterator.next()),
    return: async () => (iterator.return ? mapped(await iterator.return()) : { value: undefined, done: true as const }),
    throw: async (error?: unknown) => {
      if (iterator.throw) return mapped(await iterator.throw(error));
      throw error;
    },
    [Symbol.asyncIterator]() {
      return this;
    },
    async [Symbol.asyncDispose]() {
      await this.return();
    },
  };
  return generator as unknown as AsyncGenerator<ExecutionResult, void, void>;
}
