import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kit, startKit } from '../../../test/kit.ts';
import { png } from '../../../test/multipart.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await startKit();
});
afterAll(() => kit?.close());

const get = (id: string, headers: Record<string, string> = {}, key = kit.keys.BASIC, method = 'GET') =>
  fetch(`${kit.url}/api/chat/file/${id}`, { method, headers: { authorization: `Bearer ${key}`, ...headers } });
const upload = (name: string, content: string | Uint8Array<ArrayBuffer>, key = kit.keys.BASIC) =>
  kit.upload(name, content, { key });

const missing = { error_code: 'NOT_FOUND', detail: 'File not found' };
async function expectMissing(response: Response) {
  expect([response.status, await response.json()]).toEqual([404, missing]);
  expect(response.headers.get('etag')).toBeNull();
}

describe('GET /chat/file/{id}', () => {
  it('returns the bytes exactly as uploaded', async () => {
    const all = Uint8Array.from({ length: 1000 }, (_, at) => at % 256);
    const picture = Uint8Array.from([...png, ...all]);
    const response = await get(await upload('all.png', picture));
    expect(Buffer.compare(Buffer.from(await response.arrayBuffer()), picture)).toBe(0);
    expect(response.headers.get('content-type')).toBe('image/png');
    expect(response.headers.get('content-length')).toBe(String(picture.length));
  });

  it('sends headers that force a download, disable scripts and prevent content sniffing', async () => {
    const id = await upload('page.html', '<script>alert(1)</script><p>Hello</p>');
    for (const method of ['GET', 'HEAD']) {
      const { status, headers } = await get(id, {}, kit.keys.BASIC, method);
      expect([status, Object.fromEntries(headers)]).toEqual([
        200,
        expect.objectContaining({
          'content-type': 'text/html',
          'content-disposition': `attachment; filename="page.html"; filename*=UTF-8''page.html`,
          'content-security-policy': "default-src 'none'; sandbox",
          'x-content-type-options': 'nosniff',
          'cache-control': 'private, max-age=31536000, immutable',
          etag: `"${id}"`,
        }),
      ]);
    }
  });

  it('keeps the usual Content-Security-Policy for all other responses', async () => {
    for (const path of ['/api/docs', '/api/chat/file/none', '/api/me']) {
      const { headers } = await kit.rest('GET', path);
      expect(headers.get('content-security-policy')).toContain("object-src 'none'");
    }
  });

  it.each([
    ['Grüße.txt', 'Gr__e.txt', 'Gr%C3%BC%C3%9Fe.txt'],
    ['漢字 😀.txt', '__ __.txt', '%E6%BC%A2%E5%AD%97%20%F0%9F%98%80.txt'],
    [`it's "quoted" (1) *.txt`, `it_s _quoted_ (1) _.txt`, 'it%27s%20%22quoted%22%20%281%29%20%2A.txt'],
    [`a; filename=b.exe %0a.txt`, 'a_ filename_b.exe _0a.txt', 'a%3B%20filename%3Db.exe%20%250a.txt'],
  ])('encodes the file name in Content-Disposition: %s', async (name, plain, encoded) => {
    // The form encodes a line break as "%0a", and this name contains that text literally.
    const id = await upload('x.txt', 'text');
    await kit.prisma.file.update({ where: { id }, data: { name } });
    expect((await get(id)).headers.get('content-disposition')).toBe(
      `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`,
    );
  });

  it('accepts the path without `/api`, with a trailing slash, and with an upper-case ID', async () => {
    const id = await upload('x.txt', 'text');
    for (const path of [`/chat/file/${id}`, `/api/chat/file/${id}/`, `/api/chat/file/${id.toUpperCase()}`])
      expect((await kit.rest('GET', path, { key: kit.keys.BASIC })).text).toBe('text');
  });

  it('returns 304 when If-None-Match contains the ETag of the file', async () => {
    const id = await upload('x.txt', 'text');
    const tag = `"${id}"`;
    for (const known of [tag, `W/${tag}`, `"other", ${tag}`, '*']) {
      const response = await get(id, { 'if-none-match': known });
      expect([response.status, await response.text()]).toEqual([304, '']);
      expect(response.headers.get('etag')).toBe(tag);
      expect(response.headers.get('cache-control')).toBe('private, max-age=31536000, immutable');
    }
    for (const other of ['"other"', id, '']) expect((await get(id, { 'if-none-match': other })).status).toBe(200);
  });

  it('returns 404 instead of 304 to another user and after the file was deleted', async () => {
    const other = await kit.createKey('BASIC', { name: 'other' });
    const id = await upload('x.txt', 'text');
    const known = { 'if-none-match': `"${id}", *` };
    await expectMissing(await get(id, known, other.secret));
    await kit.rest('DELETE', `/api/user/projects/file/${id}`, { key: kit.keys.BASIC });
    await expectMissing(await get(id, known));
  });
});

describe('the 404 response of a download', () => {
  it('is the same for an invalid ID, an unknown ID and another user’s file', async () => {
    const foreign = await upload('theirs.txt', 'theirs', kit.keys.ADMIN);
    const before = await kit.fingerprint();
    for (const id of [
      foreign,
      '00000000-0000-4000-8000-000000000000',
      'none',
      '0',
      '%00',
      '..%2f..%2fetc%2fpasswd',
      `${foreign}%2f`,
      '%E0%A4%A',
      '%ff',
      'x'.repeat(2000),
    ])
      await expectMissing(await get(id));
    expect(await kit.fingerprint()).toBe(before);
    expect((await get(foreign, {}, kit.keys.ADMIN)).status).toBe(200);
  });

  it('is also sent when the bytes of the file are missing', async () => {
    const id = await upload('lost.txt', 'text');
    rmSync(join(kit.booted.foundation.settings.dataDir, 'files', id.slice(0, 2), id));
    await expectMissing(await get(id));
  });
});

it('an anonymous client gets the same 403 for an existing file as for an unknown one', async () => {
  const id = await upload('x.txt', 'text');
  for (const which of [id, 'none'])
    expect(await kit.rest('GET', `/api/chat/file/${which}`, { key: null })).toMatchObject({
      status: 403,
      body: { detail: 'Access denied. User is not authenticated.' },
    });
});
