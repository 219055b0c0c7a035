import { type ExecutionResult, GraphQLError, Kind } from 'graphql';
import { isAsyncIterable, type Plugin } from 'graphql-yoga';
import type { Context } from '../../context.ts';
import { AppError } from '../../errors.ts';

const isRefusal = ({ originalError }: GraphQLError): boolean =>
  originalError instanceof AppError && originalError.code === 'FORBIDDEN';

function record(result: ExecutionResult, { principal, services }: Context): void {
  if (!principal) return;
  for (const error of result.errors?.filter((each) => each instanceof GraphQLError && isRefusal(each)) ?? []) {
    const [field] = error.nodes ?? [];
    services.audit.permissionRefused(principal, field?.kind === Kind.FIELD ? field.name.value : 'graphql');
  }
}

/**
 * Records denied fields in the audit trail by field name. A path would contain the caller's aliases and list positions,
 * and would turn one denial into many entries.
 */
export function useRefusalAudit(): Plugin<Context> {
  const done = ({ args, result }: { args: { contextValue: unknown }; result: unknown }) => {
    if (!isAsyncIterable(result)) record(result as ExecutionResult, args.contextValue as Context);
  };
  return {
    onExecute: () => ({ onExecuteDone: done }),
    onSubscribe: () => ({ onSubscribeResult: done }),
  };
}
