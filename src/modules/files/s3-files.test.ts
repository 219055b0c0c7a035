import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Kit, startKit } from '../../../test/kit.ts';
import { sweep, uploadGraphql, uploadRest } from '../../../test/multipart.ts';
import { type S3Server, s3Credential, startS3Server } from '../../../test/s3-server.ts';

let s3: S3Server;
let kit: Kit;
beforeAll(async () => {
  s3 = await startS3Server();
  kit = await startKit({ environment: { ...s3.environment, S3_PREFIX: 'files' } });
});
afterAll(async () => {
  await kit?.close();
  await s3?.close();
});
beforeEach(() => {
  s3.fault = undefined;
});

/** Expects that no file, no orphaned blob and no object exists. */
async function expectNoFiles() {
  await sweep(kit);
  expect(await kit.prisma.file.count()).toBe(0);
  expect(await kit.prisma.orphanedBlob.count()).toBe(0);
  expect([...s3.objects.keys()]).toEqual([]);
}

describe('a file in an S3 bucket', () => {
  it('is uploaded, read, downloaded and deleted', async () => {
    const key = kit.keys.BASIC;
    const id = await kit.upload('wombat.txt', 'The wombat is here.', { key });
    expect([...s3.objects.keys()]).toEqual([`files/${id}`]);
    expect((await kit.rest('GET', `/api/chat/file/${id}`, { key })).text).toBe('The wombat is here.');
    expect(await kit.prisma.file.findUnique({ where: { id } })).toMatchObject({ text: 'The wombat is here.' });
    s3.fault = () => ({ status: 403, code: 'AccessDenied' });
    const denied = await kit.rest('GET', `/api/chat/file/${id}`, { key });
    expect(denied.status).toBe(503);
    expect(denied.headers.get('retry-after')).toBe('5');
    s3.fault = undefined;
    await kit.prisma.file.delete({ where: { id } });
    // A blob is due when its row was deleted.
    await expectNoFiles();
  });

  it('is read again later when the bucket fails while its text is extracted', async () => {
    s3.fault = (method) => (method === 'GET' ? { status: 403, code: 'AccessDenied' } : undefined);
    const { data } = await uploadGraphql(kit, { 'numbat.txt': 'The numbat is here.' });
    expect(data).not.toBeNull();
    await kit.booted.background.settled();
    expect(await kit.prisma.file.findFirst()).toMatchObject({ status: 'PROCESSING' });
    s3.fault = undefined;
    await kit.booted.services.files.resume();
    await kit.booted.background.settled();
    expect(await kit.prisma.file.findFirst()).toMatchObject({ status: 'COMPLETED', text: 'The numbat is here.' });
    await kit.prisma.file.deleteMany();
    await expectNoFiles();
  });
});

describe('an upload to a bucket that fails', () => {
  it('returns 503 with Retry-After and stores nothing', async () => {
    s3.fault = (method) => (method === 'PUT' ? { status: 403, code: 'AccessDenied' } : undefined);
    const { status, headers, errors } = await uploadGraphql(kit, { 'dingo.txt': 'The dingo is here.' });
    expect(errors[0]?.extensions).toMatchObject({ code: 'UNAVAILABLE', reason: 'BLOB_STORE_UNAVAILABLE' });
    expect([status, headers.get('retry-after')]).toEqual([503, '5']);
    await expectNoFiles();
    const rest = await uploadRest(kit, { 'dingo.txt': 'The dingo is here.' });
    expect([rest.status, rest.headers.get('retry-after')]).toEqual([503, '5']);
    await expectNoFiles();
    expect(kit.log.join('')).not.toContain(s3Credential.secret);
  });

  it('leaves no object when the bytes were stored but every response was lost', async () => {
    s3.fault = (method) => (method === 'PUT' ? 'lose-response' : undefined);
    const { errors } = await uploadGraphql(kit, { 'dingo.txt': 'The dingo is here.' });
    expect(errors[0]?.extensions).toMatchObject({ reason: 'BLOB_STORE_UNAVAILABLE' });
    await expectNoFiles();
    expect(s3.requests.at(-1)).toMatch(/^DELETE files\//);
  });

  it('keeps the orphaned blob until the bucket can delete it', async () => {
    s3.fault = (method) => (method === 'PUT' ? 'lose-response' : { status: 403, code: 'AccessDenied' });
    await uploadGraphql(kit, { 'dingo.txt': 'The dingo is here.' });
    await sweep(kit);
    expect([s3.objects.size, await kit.prisma.orphanedBlob.count()]).toEqual([1, 1]);
    s3.fault = undefined;
    await expectNoFiles();
  });
});
