import { expect } from 'vitest';
import type { Kit } from './kit.ts';
import { blobsOf } from './multipart.ts';

/**
 * Does something, and expects that everything is stored as it was, but for the audit trail and last uses: in the database
 * and beside it. Waits before and after for what goes on in the background.
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

/** The same, and expects that the provider is not asked either. */
export async function nothingAsked<T>(kit: Kit, work: () => Promise<T>): Promise<T> {
  const requests = kit.model.requests.length;
  const result = await nothingStored(kit, work);
  expect(kit.model.requests).toHaveLength(requests);
  return result;
}
