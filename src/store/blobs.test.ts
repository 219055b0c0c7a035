import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { startS3Server } from '../../test/s3-server.ts';
import { createLog } from '../log.ts';
import { readSettings } from '../settings.ts';
import { folderBlobs } from './blobs.ts';
import { s3Blobs } from './s3-blobs.ts';

const folder = mkdtempSync(join(tmpdir(), 'blobs-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const blobs = folderBlobs(join(folder, 'not', 'there', 'yet'));
const bytes = (text: string) => Uint8Array.from(Buffer.from(text));
let last = 0;
const newId = () => `0123abcd-0000-4000-8000-${String(++last).padStart(12, '0')}`;
const pathOf = (id: string) => join(folder, 'not', 'there', 'yet', id.slice(0, 2), id);

const s3 = await startS3Server();
afterAll(s3.close);
const { s3: s3Settings } = readSettings(s3.environment);
if (!s3Settings) throw new Error('the settings contain no bucket');

/** Every kind of store keeps the same contract. */
const stores = [
  { name: 'a folder', blobs },
  { name: 'an S3 bucket', blobs: s3Blobs(s3Settings, { log: createLog('silent') }) },
];

describe.each(stores)('a blob in $name', ({ blobs }) => {
  it('is read back unchanged, on every read', async () => {
    const id = newId();
    const content = Uint8Array.from({ length: 300_000 }, (_, at) => (at * 7) % 256);
    await blobs.write(id, content);
    for (let read = 0; read < 2; read++) expect(Buffer.compare((await blobs.read(id)) ?? bytes(''), content)).toBe(0);
  });

  it('contains only the given part of a buffer', async () => {
    const id = newId();
    await blobs.write(id, bytes('before, piece, after').subarray(8, 13));
    expect(Buffer.from((await blobs.read(id)) ?? []).toString()).toBe('piece');
  });

  it('can be empty', async () => {
    const id = newId();
    await blobs.write(id, bytes(''));
    expect(await blobs.read(id)).toHaveLength(0);
  });

  it('is null when it was never written or was erased', async () => {
    const id = newId();
    expect(await blobs.read(id)).toBeNull();
    await blobs.write(id, bytes('x'));
    await blobs.erase(id);
    expect(await blobs.read(id)).toBeNull();
    // Erasing it again has no effect.
    await blobs.erase(id);
  });
});

describe('a blob in a folder', () => {
  it('is readable and writable only by the server’s user', async () => {
    const id = newId();
    await blobs.write(id, bytes('x'));
    expect(statSync(pathOf(id)).mode & 0o777).toBe(0o600);
  });
});

describe('a crash while a blob is written', () => {
  it('leaves a partial file that is never read and that the next write replaces', async () => {
    const id = newId();
    mkdirSync(join(pathOf(id), '..'), { recursive: true });
    writeFileSync(`${pathOf(id)}.new`, 'a longer half of it');
    expect(await blobs.read(id)).toBeNull();
    await blobs.write(id, bytes('whole'));
    expect(readFileSync(pathOf(id), 'utf8')).toBe('whole');
    expect(readdirSync(join(pathOf(id), '..'))).not.toContain(`${id}.new`);
  });

  it('leaves a partial file that is removed when the blob is erased', async () => {
    const id = newId();
    mkdirSync(join(pathOf(id), '..'), { recursive: true });
    writeFileSync(`${pathOf(id)}.new`, 'half');
    await blobs.erase(id);
    expect(readdirSync(join(pathOf(id), '..'))).not.toContain(`${id}.new`);
  });
});

describe.each(stores)('an invalid blob ID in $name', ({ blobs }) => {
  it.each([
    '',
    '..',
    '../../../../etc/passwd',
    '0123abcd-0000-4000-8000-00000000000',
    '0123abcd-0000-4000-8000-000000000000/../x',
    '0123ABCD-0000-4000-8000-000000000000',
    '0123abcd-0000-4000-8000-000000000000\n',
    '0123abcd-0000-4000-8000-000000000000\0',
  ])('%j is rejected and changes no blob', async (id) => {
    const [before, requests] = [readdirSync(folder, { recursive: true }), s3.requests.length];
    for (const work of [() => blobs.write(id, bytes('x')), () => blobs.read(id), () => blobs.erase(id)])
      await expect((async () => work())()).rejects.toThrow('a blob’s id is a UUID');
    expect(readdirSync(folder, { recursive: true })).toEqual(before);
    expect(s3.requests).toHaveLength(requests);
  });
});
