import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import iconv from 'iconv-lite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nothingStored } from '../../../test/expect-unchanged.ts';
import { type Kit, startKit } from '../../../test/kit.ts';
import { postForm, postOperation, uploadRest } from '../../../test/multipart.ts';

let kit: Kit;
let web: Server;
let site: string;

const german = 'Die Größe der Gebühr beträgt „5 €“.';
const pages: Record<string, [type: string, bytes: Uint8Array]> = {
  '/header': ['text/html; charset=windows-1252', iconv.encode(`<p>${german}`, 'windows-1252')],
  '/meta': [
    'text/html',
    iconv.encode('<meta http-equiv="Content-Type" content="text/html; charset=GBK"><p>费用', 'gbk'),
  ],
  '/xhtml': [
    'application/xhtml+xml',
    iconv.encode('<?xml version="1.0" encoding="Shift_JIS"?><html><body><p>料金</p></body></html>', 'shift_jis'),
  ],
  '/wrong': ['text/html; charset=utf-8', iconv.encode(`<p>${german}`, 'windows-1252')],
  '/plain': ['text/plain; charset=Big5', iconv.encode('費用', 'big5')],
  '/utf16': ['text/html', iconv.encode(`<p>${german}`, 'utf-16le', { addBOM: true })],
  '/nothing': ['', iconv.encode(german, 'windows-1252')],
};

beforeAll(async () => {
  web = createServer((request, reply) => {
    const [type, bytes] = pages[request.url ?? ''] ?? ['text/plain', Buffer.from('none')];
    if (type) reply.setHeader('content-type', type);
    reply.end(bytes);
  });
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
  const { port } = web.address() as AddressInfo;
  site = `http://127.0.0.1:${port}`;
  kit = await startKit({ environment: { LINK_ALLOWED_HOSTS: `127.0.0.1:${port}` } });
});
afterAll(async () => {
  await kit?.close();
  web?.closeAllConnections();
  web?.close();
});

const uploadDocument = async (name: string, bytes: Uint8Array) => {
  const { data, errors } = await postOperation(
    kit,
    {
      query: 'mutation ($input: UploadDocumentsInput!) { uploadDocuments(input: $input) { added { text } } }',
      variables: { input: { files: [null] } },
    },
    { 0: ['variables.input.files.0'] },
    [{ name: '0', fileName: name, content: bytes }],
    { key: kit.keys.ADMIN },
  );
  expect(errors).toEqual([]);
  return data.uploadDocuments.added[0].text;
};

/** Each way to submit a file, with a function that returns the text extracted from the file. */
const roads: [string, (name: string, bytes: Uint8Array) => Promise<string>][] = [
  [
    'POST /user/projects/file/upload',
    async (name, bytes) => {
      const { body } = await uploadRest(kit, { [name]: bytes });
      expect(body.rejected_files).toEqual([]);
      await kit.booted.background.settled();
      return (await kit.prisma.file.findUniqueOrThrow({ where: { id: body.user_files[0].id } })).text ?? '';
    },
  ],
  [
    'POST /v1/document/upload',
    async (name, bytes) => {
      const parts = [{ name: 'file', fileName: name, content: bytes }];
      const { body } = await postForm(kit, '/api/v1/document/upload', parts, { key: kit.keys.ADMIN });
      expect(body).toMatchObject({ success: true });
      return body.documents[0].pageContent;
    },
  ],
  ['uploadDocuments', uploadDocument],
];

describe.each(roads)('submitting a file through %s', (_road, read) => {
  it.each([
    ['a.txt', german, 'windows-1252'],
    ['a.csv', '名称,价格\n茶叶,五元\n咖啡,七元\n', 'gbk'],
    ['a.md', '# 保証期間\n\n二年です。\n', 'shift_jis'],
    ['a.json', '{"größe":"fünf"}', 'latin1'],
    ['a.txt', 'Größe\n', 'utf-16le'],
    ['a.log', 'Größe\n', 'utf-16be'],
  ])('decodes %s with %j in %s', async (name, text, encoding) => {
    expect(await read(name, iconv.encode(text, encoding))).toBe(text);
  });

  it('decodes a page in the encoding that it declares', async () => {
    const page = iconv.encode('<html><head><meta charset="windows-1251"></head><body>Да</body></html>', 'windows-1251');
    expect(await read('page.html', page)).toBe('Да');
  });

  it('removes terminal colors and control characters from a log', async () => {
    expect(await read('a.log', Buffer.from('\x1b]0;t\x07\x1b[32mok\x1b[0m\tdone\x00\n'))).toBe('ok\tdone\n');
  });
});

describe('the page behind a link', () => {
  it.each([
    ['/header', german],
    ['/meta', '费用'],
    ['/xhtml', '料金'],
    ['/wrong', german],
    ['/plain', '費用'],
    ['/utf16', german],
    ['/nothing', german],
  ])('%s is decoded with the encoding that its server or its content indicates', async (path, text) => {
    const { body } = await kit.rest('POST', '/api/v1/document/upload-link', { body: { link: site + path } });
    expect(body.documents?.[0].pageContent).toBe(text);
  });
});

describe('a text in a JSON body', () => {
  const text = '\x1b[31mred\x1b[0m\tu\u0308ber\x07\r\n\x1b]8;;https://x.test\x1b\\link\x1b]8;;\x1b\\';

  it('is added without control characters and in NFC', async () => {
    const body = { textContent: text, metadata: { title: 'Red' } };
    const { body: added } = await kit.rest('POST', '/api/v1/document/raw-text', { body });
    expect(added.documents[0].pageContent).toBe('red\tüber\r\nlink');
  });

  it('is ingested without control characters and in NFC', async () => {
    await kit.ingest('Red', text, { id: 'red' });
    const chunks = await kit.prisma.chunk.findMany({ where: { document: { externalId: 'red' } } });
    expect(chunks.map((chunk) => chunk.text)).toEqual(['red\tüber\r\nlink']);
  });

  it('is rejected with 422 when no characters remain after cleaning', async () => {
    await nothingStored(kit, async () => {
      const body = { textContent: '\x1b[0m\x07', metadata: { title: 'Nothing' } };
      const answer = await kit.rest('POST', '/api/v1/document/raw-text', { body });
      expect([answer.status, answer.body.success]).toEqual([422, false]);
    });
  });
});

describe('a file with binary content and a text extension', () => {
  const random = Uint8Array.from({ length: 3000 }, (_, at) => (at * 7919 + ((at * at) >> 3)) % 256);

  it('is rejected with the reason by the Onyx and AnythingLLM uploads', async () => {
    await nothingStored(kit, async () => {
      const onyx = await uploadRest(kit, { 'a.txt': random, 'b.csv': Buffer.from('\x1f\x8b\b\0', 'latin1') });
      expect(onyx.body).toEqual({
        user_files: [],
        rejected_files: ['a.txt', 'b.csv'].map((file_name) => ({ file_name, reason: 'is not a text file' })),
      });
      const parts = [{ name: 'file', fileName: 'a.txt', content: random }];
      const anythingllm = await postForm(kit, '/api/v1/document/upload', parts, { key: kit.keys.ADMIN });
      expect([anythingllm.status, anythingllm.body.error]).toEqual([422, 'a.txt is not a text file.']);
    });
  });
});
