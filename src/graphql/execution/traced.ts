import { type ExecutionArgs, type ExecutionResult, getOperationAST } from 'graphql';
import { failureType, isTracing, type Span, startSpan } from '../../telemetry/tracing.ts';
import { rootFieldOf } from '../root-field.ts';
import { execute, subscribe } from './execute.ts';

/** Returns the type of the first error of a result. */
function failureIn(result: unknown): string | undefined {
  const [error] = (result as Partial<ExecutionResult> | null)?.errors ?? [];
  return error && String(error.extensions.reason ?? failureType(error.originalError ?? error));
}

/**
 * Returns a function that runs an operation in a span, which is named after the type and the root field of the
 * operation. The span of a subscription ends when its stream begins.
 */
const traced =
  <Result>(run: (args: ExecutionArgs) => Result | Promise<Result>) =>
  (args: ExecutionArgs): Result | Promise<Result> => {
    if (!isTracing()) return run(args);
    const operation = getOperationAST(args.document, args.operationName);
    const type = operation?.operation ?? 'operation';
    const field = operation ? rootFieldOf(args.document, operation) : 'none';
    const span = startSpan(`${type} ${field}`, {
      kind: 'internal',
      attributes: { 'graphql.operation.type': type },
    }) as Span;
    return span.run(async () => {
      try {
        const result = await run(args);
        span.end(failureIn(result));
        return result;
      } catch (error) {
        span.end(failureType(error));
        throw error;
      }
    });
  };

const inSpan = { execute: traced(execute), subscribe: traced(subscribe) };

/** Executes a query or a mutation, in a span when traces are exported. */
export const executeTraced = inSpan.execute;

/** Starts a subscription, in a span when traces are exported. */
export const subscribeTraced = inSpan.subscribe;
