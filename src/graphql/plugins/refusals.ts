import { type ExecutionResult, GraphQLError } from 'graphql';
import { isAsyncIterable, type Plugin } from 'graphql-yoga';
import type { Context } from '../../context.ts';
import { AppError } from '../../errors.ts';

const isRefusal = ({ originalError }: GraphQLError): boolean =>
  originalError instanceof AppError && originalError.code === 'FORBIDDEN';

function record(result: ExecutionResult, { principal, services }: Context): void {
  if (!principal) return;
  for (const error of result.errors?.filter((each) => each instanceof GraphQLError && isRefusal(each)) ?? [])
    services.audit.permissionRefused(principal, (error.path ?? []).join('.'));
}

/** Writes into the audit trail what a credential was refused, by the path of the field. */
export function useRefusalAudit(): Plugin<Context> {
  const done = ({ args, result }: { args: { contextValue: unknown }; result: unknown }) => {
    if (!isAsyncIterable(result)) record(result as ExecutionResult, args.contextValue as Context);
  };
  return {
    onExecute: () => ({ onExecuteDone: done }),
    onSubscribe: () => ({ onSubscribeResult: done }),
  };
}
