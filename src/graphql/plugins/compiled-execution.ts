import type { Plugin } from 'graphql-yoga';
import { executeTraced, subscribeTraced } from '../execution/traced.ts';

/** Executes operations with the executor of this server. */
export function useCompiledExecution(): Plugin {
  return {
    onExecute: ({ setExecuteFn }) => setExecuteFn(executeTraced as Parameters<typeof setExecuteFn>[0]),
    onSubscribe: ({ setSubscribeFn }) => setSubscribeFn(subscribeTraced as Parameters<typeof setSubscribeFn>[0]),
  };
}
