import {
  type DocumentNode,
  type ExecutionArgs,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  getVariableValues,
  type OperationDefinitionNode,
  parse,
} from 'graphql';
import { isAsyncIterable, type Plugin } from 'graphql-yoga';
import type { RunOptions } from '../../budget.ts';
import type { Context } from '../../context.ts';
import { costOf } from '../cost.ts';
import { maskError } from '../errors.ts';
import { type Measures, measure } from '../measure.ts';

type QueryLimits = Readonly<
  Record<'characters' | 'tokens' | 'depth' | 'aliases' | 'directives' | 'cost' | 'repeats', number>
>;
type Limit = keyof QueryLimits;

/**
 * Limits on operations, checked before execution. Ordinary queries stay far below them; an operation above a limit gets
 * 400.
 */
export const queryLimits: QueryLimits = {
  characters: 20_000,
  tokens: 1000,
  depth: 12,
  aliases: 15,
  directives: 5,
  cost: 5000,
  repeats: 20,
};

const refusal = (limit: Limit, message: string, more: object = {}): GraphQLError =>
  new GraphQLError(message, { extensions: { code: 'BAD_USER_INPUT', reason: 'OPERATION_LIMIT', limit, ...more } });

/**
 * Groups of fields. An operation may select only one field of each group, and only once, so that rate limits on
 * requests also limit the attempts to guess a password, the model calls, and the copies of the whole schema.
 */
const onceEach = [
  ['login', 'requestToken', 'register', 'changePassword', 'acceptInvite'],
  [
    'sendChatMessage',
    'chatTurn',
    'embedTurn',
    'createChatCompletion',
    'chatCompletion',
    'createEmbeddings',
    'createImage',
  ],
  ['__schema'],
];

/** Returns an error for the first limit that an operation exceeds, based on its document alone, or null. */
function exceededBy(measures: Measures, limits: QueryLimits): GraphQLError | null {
  for (const [limit, found, what] of [
    ['depth', measures.depth, 'levels of fields'],
    ['aliases', measures.aliases, 'aliases'],
    ['directives', measures.directives, 'directives'],
  ] as const)
    if (found > limits[limit])
      return refusal(limit, `The operation has ${found} ${what}; the limit is ${limits[limit]}.`);
  const { field, times } = measures.repeated;
  if (times > limits.repeats)
    return refusal('repeats', `The field ${field} is selected ${times} times; the limit is ${limits.repeats}.`);
  for (const names of onceEach) {
    const selected = names.reduce((sum, name) => sum + (measures.fields.get(name) ?? 0), 0);
    if (selected > 1)
      return refusal(
        'repeats',
        names.length === 1
          ? `An operation can select ${names[0]} once.`
          : `An operation can select one of ${names.join(', ')}, once.`,
      );
  }
  return null;
}

interface Cost {
  requested: number;
  limit: number;
}

interface ExecuteHook {
  args: ExecutionArgs;
  setResultAndStopExecution(result: { errors: GraphQLError[]; extensions: object }): void;
}

type Result = Record<string, unknown> & { extensions?: Record<string, unknown> };

const withCost = (result: Result, cost: Cost): Result => ({ ...result, extensions: { ...result.extensions, cost } });

/** Returns the cost of a request, or null for an operation that does not run. `limit` is the maximum cost. */
function costOfRequest({ args }: ExecuteHook, limit: number): Cost | null {
  const { schema, document, operationName, variableValues = {} } = args;
  const operation = getOperationAST(document, operationName);
  if (!operation) return null;
  const { coerced } = getVariableValues(schema, operation.variableDefinitions ?? [], variableValues ?? {});
  // Execution reports invalid variables and resolves no fields.
  if (!coerced) return null;
  return { requested: costOf({ schema, document, operation, variableValues: coerced }), limit };
}

/**
 * Returns the cost of an operation that is allowed to run, or null after setting an error as the result of an
 * operation that is not.
 */
function admit(hook: ExecuteHook, limit: number): Cost | null {
  const cost = costOfRequest(hook, limit);
  if (!cost || cost.requested <= cost.limit) return cost;
  const message = `The operation costs ${cost.requested}; the limit is ${cost.limit}. Request smaller pages with \`first\`, or fewer lists within lists.`;
  hook.setResultAndStopExecution({ errors: [refusal('cost', message, { cost })], extensions: { cost } });
  return null;
}

/**
 * Rejects operations that would cost too much, before they run. A value equal to a limit is allowed; a higher value is
 * rejected. In a document with several operations, only the operation to run and its fragments count, except for the
 * length and the number of tokens, which are those of the whole document because all of it is parsed. `refused`
 * receives the name of each limit that was exceeded.
 *
 * The cost is reported in `extensions.cost` of the response; for a stream, in that of the first event.
 */
export function useQueryLimits(limits: QueryLimits, refused: (limit: string) => void): Plugin<Context> {
  return {
    // Whitespace and comments are not tokens, and the server counts lines from the start of the document to locate an
    // error.
    onParams({ params, setResult }) {
      if (typeof params.query !== 'string' || params.query.length <= limits.characters) return;
      const message = `The document is longer than ${limits.characters} characters. Send long values as variables.`;
      setResult({ errors: [refusal('characters', message)] });
    },
    onParse({ setParseFn }) {
      setParseFn((source, options) => {
        try {
          return parse(source, { ...options, maxTokens: limits.tokens });
        } catch (error) {
          if (!(error instanceof Error && / more tha[nt] \d+ tokens/.test(error.message))) throw error;
          throw refusal('tokens', `The document has more than ${limits.tokens} tokens. Send values as variables.`);
        }
      });
    },
    onValidate({ params, context }) {
      const document = params.documentAST as DocumentNode;
      const { operationName } = (context as { params?: { operationName?: string } }).params ?? {};
      const operation = getOperationAST(document, operationName);
      if (!operation) return;
      const error = exceededBy(measure(document, operation), limits);
      // Thrown instead of returned as a validation result: validation results are cached with the document, which may
      // contain other operations.
      if (error) throw error;
    },
    onExecute(hook) {
      const cost = admit(hook as unknown as ExecuteHook, limits.cost);
      if (!cost) return;
      return {
        onExecuteDone({ result, setResult }) {
          if (!isAsyncIterable(result)) setResult(withCost(result as Result, cost));
        },
      };
    },
    onSubscribe(hook) {
      const cost = admit(hook as unknown as ExecuteHook, limits.cost);
      if (!cost) return;
      let told = false;
      return {
        onSubscribeResult: () => ({
          onNext({ result, setResult }) {
            if (told) return;
            told = true;
            setResult(withCost(result as Result, cost));
          },
        }),
      };
    },
    onExecutionResult({ result, setResult }) {
      if (!result || !('errors' in result)) return;
      const exceeded = new Set(result.errors?.map(({ extensions }) => extensions?.limit));
      const refusals = [...exceeded].filter((limit) => typeof limit === 'string' && limit in limits);
      if (refusals.length === 0) return;
      for (const limit of refusals) refused(String(limit));
      // The status is 400 for every media type, unlike for other errors of a document.
      setResult({ ...result, extensions: { ...result.extensions, http: { status: 400 } } });
    },
  };
}

/**
 * Runs each operation within the budget of its context, and starts the time limit of that budget. Streams and the
 * operations that wait for a model or for files have separate time limits.
 */
export function useBudget(): Plugin<Context> {
  return {
    onExecute({ args, executeFn, setExecuteFn }) {
      const { budget, scope } = args.contextValue as Context;
      const options = runOptions(args as unknown as ExecutionArgs);
      setExecuteFn(async (given) => {
        try {
          return await budget.run(() => executeFn(given), options);
        } catch (error) {
          return { errors: [maskError(error, scope)] };
        }
      });
    },
  };
}

const knownOptions = new WeakMap<OperationDefinitionNode, RunOptions>();

/** Returns the budget options for the operation in these execution arguments. */
export function runOptions({ schema, document, operationName }: ExecutionArgs): RunOptions {
  const operation = getOperationAST(document, operationName);
  if (!operation) return { timed: true, answersEarly: true };
  let options = knownOptions.get(operation);
  if (!options) {
    options = optionsOf(schema, document, operation);
    knownOptions.set(operation, options);
  }
  return options;
}

function optionsOf(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode): RunOptions {
  const root = schema.getRootType(operation.operation);
  if (!root) return { timed: true, answersEarly: true };
  const fields = Object.values(root.getFields()).filter(({ extensions }) => extensions.ownTimeLimit);
  const { fields: selected } = measure(document, operation);
  return { timed: !fields.some(({ name }) => selected.has(name)), answersEarly: operation.operation !== 'mutation' };
}
