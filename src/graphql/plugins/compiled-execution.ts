import type { Plugin } from 'graphql-yoga';
import { execute, subscribe } from '../execution/execute.ts';

/** Executes operations with the executor of this server. */
export function useCompiledExecution(): Plugin {
  return {
    onExecute: ({ setExecuteFn }) => setExecuteFn(execute as Parameters<typeof setExecuteFn>[0]),
    onSubscribe: ({ setSubscribeFn }) => setSubscribeFn(subscribe as Parameters<typeof setSubscribeFn>[0]),
  };
}
