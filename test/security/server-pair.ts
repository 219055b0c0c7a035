import { multiUserOnly } from '../../src/rest/anythingllm/mode.ts';
import type { AnyEndpoint } from '../../src/rest/endpoint.ts';
import { type Kit, startKit } from '../kit.ts';

/** A server without people and one with people: some endpoints exist only on one of them. */
export interface ServerPair {
  single: Kit;
  peopled: Kit;
  /** Returns the server on which an endpoint exists. */
  of(row: AnyEndpoint): Kit;
  close(): Promise<void>;
}

/** Starts both servers. The options are those of the server without people. */
export async function startServerPair(options?: Parameters<typeof startKit>[0]): Promise<ServerPair> {
  const [single, peopled] = [await startKit(options), await startKit()];
  await peopled.person();
  return {
    single,
    peopled,
    of: ({ gate }) => (gate === multiUserOnly ? peopled : single),
    close: async () => {
      await single.close();
      await peopled.close();
    },
  };
}

/** Returns a path with IDs that do not exist. */
export const withMissingIds = (path: string): string =>
  path.replaceAll(/\{(\w+)\}/g, (_all, name: string) =>
    /session|file|uuid/i.test(name) ? '11111111-2222-4333-8444-555555555555' : '2147483647',
  );
