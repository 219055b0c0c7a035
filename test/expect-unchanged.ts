import { expect } from 'vitest';
import type { Kit } from './kit.ts';
import { blobsOf } from './multipart.ts';

/**
 * Runs an operation and expects that stored data stays unchanged, in the database and in files, except the audit trail
 * and last uses. Waits for background work before and after.
 */
export async function nothingStored<T>(kit: Kit, work: () => Promise<T>): Promise<T> {
  const stored = async () => {
    await kit.booted.background.settled();
    return { rows: await kit.fingerprint(), blobs: blobsOf(kit) };
  };
  const before = await stored();
  const result = await work();
  expect(await stored()).toEqual(before);
  return result;
}

/** Also expects that the model provider is not called. */
export async function nothingAsked<T>(kit: Kit, work: () => Promise<T>): Promise<T> {
  const requests = kit.model.requests.length;
  const result = await nothingStored(kit, work);
  expect(kit.model.requests).toHaveLength(requests);
  return result;
}
