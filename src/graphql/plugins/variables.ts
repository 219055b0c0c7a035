import { type ExecutionArgs, getOperationAST, getVariableValues } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { maskError } from '../errors.ts';

/** Problems with variables that a reply names. Each quotes the value that it is in, which can be all of the body. */
const mostProblems = 5;

interface Hook {
  args: ExecutionArgs;
  setResultAndStopExecution(result: { errors: ReturnType<typeof maskError>[] }): void;
}

/** Refuses variables that do not fit, before execution would read them and report fifty problems. */
export function useVariableCheck(): Plugin {
  const check = ({ args, setResultAndStopExecution }: Hook) => {
    const variables = getOperationAST(args.document, args.operationName)?.variableDefinitions ?? [];
    if (variables.length === 0) return;
    const { errors } = getVariableValues(args.schema, variables, args.variableValues ?? {}, {
      maxErrors: mostProblems,
    });
    if (errors) setResultAndStopExecution({ errors: errors.map(maskError) });
  };
  return { onExecute: (hook) => check(hook as unknown as Hook), onSubscribe: (hook) => check(hook as unknown as Hook) };
}
