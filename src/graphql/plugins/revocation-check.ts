import type { Plugin } from 'graphql-yoga';
import type { Context } from '../../context.ts';
import { invalidCredential } from '../../errors.ts';
import { toGraphQLError } from '../errors.ts';

/**
 * Rejects a request whose credential was ended between the headers and the last byte of the body, which can be minutes
 * apart.
 */
export function useRevocationCheck(): Plugin<Context> {
  const check = ({ args }: { args: { contextValue: unknown } }) => {
    const { principal, services } = args.contextValue as Context;
    if (principal && services.revocations.ended(principal)) throw toGraphQLError(invalidCredential());
  };
  return { onExecute: check, onSubscribe: check };
}
