import { type ExecutionArgs, getOperationAST, getVariableValues } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { maskError } from '../errors.ts';

/**
 * Maximum number of problems with variables in one response. Each quotes its value, which can be as long as the body.
 */
const maxProblems = 5;

interface Hook {
  args: ExecutionArgs;
  setResultAndStopExecution(result: { errors: ReturnType<typeof maskError>[] }): void;
}

/** Rejects variables of the wrong type before execution, which would report fifty problems. */
export function useVariableCheck(): Plugin {
  const check = ({ args, setResultAndStopExecution }: Hook) => {
    const variables = getOperationAST(args.document, args.operationName)?.variableDefinitions ?? [];
    if (variables.length === 0) return;
    const { errors } = getVariableValues(args.schema, variables, args.variableValues ?? {}, {
      maxErrors: maxProblems,
    });
    if (errors) setResultAndStopExecution({ errors: errors.map((error) => maskError(error)) });
  };
  return { onExecute: (hook) => check(hook as unknown as Hook), onSubscribe: (hook) => check(hook as unknown as Hook) };
}
