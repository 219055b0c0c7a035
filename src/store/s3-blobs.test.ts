import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type S3Server, s3Credential, signatureOf, startS3Server } from '../../test/s3-server.ts';
import { createLog } from '../log.ts';
import { readSettings } from '../settings.ts';
import { type S3Timeouts, s3Blobs } from './s3-blobs.ts';

const id = '0123abcd-0000-4000-8000-000000000001';
const bytes = Uint8Array.from(Buffer.from('content'));

let s3: S3Server;
const log: string[] = [];
beforeEach(async () => {
  s3 = await startS3Server();
  log.length = 0;
});
afterEach(() => s3.close());

/** Returns the blobs of a server with these settings. */
function blobsWith(environment: Record<string, string> = {}, timeouts?: S3Timeouts) {
  const { s3: settings } = readSettings({ ...s3.environment, ...environment });
  if (!settings) throw new Error('the settings contain no bucket');
  return s3Blobs(settings, {
    log: createLog('debug', { write: (line) => log.push(line) }),
    ...(timeouts && { timeouts }),
  });
}

/** Expects the error of an unavailable bucket, and one line in the log that has no secret. */
async function expectUnavailable(work: Promise<unknown>, logged: object) {
  await expect(work).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    reason: 'BLOB_STORE_UNAVAILABLE',
    details: { retryAfter: 5 },
  });
  expect(log).toHaveLength(1);
  expect(JSON.parse(log[0] as string)).toMatchObject(logged);
  expect(log[0]).not.toContain(s3Credential.secret);
  expect(log[0]).not.toContain('Signature=');
}

describe('a request to S3', () => {
  it('is verified in tests as Amazon documents it', () => {
    // The example "GET Object" of "Authenticating Requests: Using the Authorization Header" in the manual of Amazon S3.
    const headers = {
      host: 'examplebucket.s3.amazonaws.com',
      range: 'bytes=0-9',
      'x-amz-content-sha256': 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
      'x-amz-date': '20130524T000000Z',
      authorization:
        'AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=0',
    };
    expect(signatureOf({ method: 'GET', url: '/test.txt', headers }, 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY')).toBe(
      'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    );
  });

  it('uses the prefix as a folder, with or without a trailing slash', async () => {
    for (const S3_PREFIX of ['latchkey/files', 'latchkey/files/']) await blobsWith({ S3_PREFIX }).write(id, bytes);
    expect([...s3.objects.keys()]).toEqual([`latchkey/files/${id}`]);
  });

  it('has the bucket in the host name unless an endpoint or the path style is set', async () => {
    const fetched = vi.spyOn(globalThis, 'fetch').mockImplementation(async () => new Response());
    const urlWith = async (environment: Record<string, string>) => {
      await blobsWith(environment).read(id);
      return String(fetched.mock.lastCall?.[0]);
    };
    try {
      expect(await urlWith({ S3_ENDPOINT: '' })).toBe(`https://latchkey-files.s3.eu-test-1.amazonaws.com/${id}`);
      expect(await urlWith({ S3_ENDPOINT: '', S3_FORCE_PATH_STYLE: 'true' })).toBe(
        `https://s3.eu-test-1.amazonaws.com/latchkey-files/${id}`,
      );
      expect(await urlWith({ S3_ENDPOINT: 'https://s3.example.com/v1' })).toBe(
        `https://s3.example.com/v1/latchkey-files/${id}`,
      );
    } finally {
      fetched.mockRestore();
    }
  });
});

describe('a request to S3 that fails', () => {
  it('is repeated twice when S3 is overloaded', async () => {
    s3.fault = () => (s3.requests.length < 3 ? { status: 503, code: 'SlowDown' } : undefined);
    const blobs = blobsWith();
    await blobs.write(id, bytes);
    expect(s3.requests).toEqual(Array(3).fill(`PUT ${id}`));
    expect(log).toEqual([]);
    s3.fault = () => ({ status: 503, code: 'SlowDown' });
    await expectUnavailable(blobs.read(id), { status: 503, s3Code: 'SlowDown', method: 'GET' });
    expect(s3.requests).toHaveLength(6);
  });

  it('is repeated when the response was lost', async () => {
    s3.fault = () => (s3.requests.length === 1 ? 'lose-response' : undefined);
    await blobsWith().write(id, bytes);
    expect(s3.requests).toHaveLength(2);
    expect(s3.objects.get(id)).toEqual(Buffer.from(bytes));
  });

  it('is not repeated when S3 denies it', async () => {
    const wrong = blobsWith({ S3_SECRET_ACCESS_KEY: `${s3Credential.secret}x` });
    await expectUnavailable(wrong.write(id, bytes), { status: 403, s3Code: 'SignatureDoesNotMatch' });
    expect(s3.requests).toHaveLength(1);
  });

  it('does not follow a redirect, which would carry the signature to another server', async () => {
    s3.fault = () => ({ status: 307, code: 'TemporaryRedirect' });
    await expectUnavailable(blobsWith().read(id), { status: 307, s3Code: 'TemporaryRedirect' });
  });

  it('because the bucket does not exist is not a missing blob', async () => {
    const other = blobsWith({ S3_BUCKET: 'another-bucket' });
    await expectUnavailable(other.read(id), { status: 404, s3Code: 'NoSuchBucket' });
  });

  it('because S3 does not respond ends at the time limit, also in the pause before the next attempt', async () => {
    s3.fault = () => 'hang';
    await expectUnavailable(blobsWith({}, { transferMs: 100, eraseMs: 100 }).read(id), { method: 'GET' });
    expect(s3.requests).toHaveLength(1);
    log.length = 0;
    s3.fault = () => ({ status: 503, code: 'SlowDown' });
    await expectUnavailable(blobsWith({}, { transferMs: 100, eraseMs: 100 }).erase(id), { method: 'DELETE' });
    expect(s3.requests).toHaveLength(2);
  });

  it('because no server listens is reported without the credential', async () => {
    const blobs = blobsWith();
    await s3.close();
    await expectUnavailable(blobs.erase(id), { method: 'DELETE', error: { message: expect.any(String) } });
    s3 = await startS3Server();
  });
});
