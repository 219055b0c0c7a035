import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { nothingStored } from '../../../test/expect-unchanged.ts';
import { type Answer, type Kit, startKit } from '../../../test/kit.ts';
import { type Part, postForm } from '../../../test/multipart.ts';
import { docx, paragraph, pdf } from '../../modules/files/extract/fixtures.ts';

let kit: Kit;
let web: Server;
/** Web pages at a host that the settings allow. */
let site: string;
const asked: Record<string, string | string[] | undefined>[] = [];

const article = `<!doctype html><html><head><title>The lighthouse of Wrangel</title></head><body>
<nav><a href="/a">Menu of everything</a></nav>
<article><h1>The lighthouse</h1><p>${'The lighthouse keeper counts walruses, every morning, and writes them down. '.repeat(12)}</p></article>
<script>document.title = 'run'</script><footer>Imprint and cookies</footer></body></html>`;

beforeAll(async () => {
  web = createServer((request, reply) => {
    asked.push(request.headers);
    const { url = '' } = request;
    if (url === '/article') reply.setHeader('content-type', 'text/html').end(article);
    else if (url === '/latin')
      reply
        .setHeader('content-type', 'text/html; charset=iso-8859-1')
        .end(Buffer.from('<html><body><p>Gr\u00fc\u00dfe</p></body></html>', 'latin1'));
    else if (url === '/report') reply.setHeader('content-type', 'application/pdf').end(pdf(['Walrus census']));
    else if (url === '/notes.md') reply.setHeader('content-type', 'text/plain').end('# Notes\n\nOne walrus.');
    else if (url === '/inside') reply.writeHead(302, { location: 'http://10.0.0.1/secret' }).end();
    else if (url === '/bytes') reply.setHeader('content-type', 'application/octet-stream').end(Buffer.from([0, 1, 2]));
    else if (url === '/blank') reply.setHeader('content-type', 'text/html').end('<html><body> </body></html>');
    else reply.writeHead(404).end();
  });
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
  const { port } = web.address() as AddressInfo;
  site = `http://127.0.0.1:${port}`;
  kit = await startKit({ environment: { LINK_ALLOWED_HOSTS: `intranet.example, 127.0.0.1:${port}` } });
});
afterAll(async () => {
  await kit?.close();
  web?.closeAllConnections();
  web?.close();
});

beforeEach(async () => {
  await kit.prisma.document.deleteMany();
  await kit.prisma.documentFolder.deleteMany();
});

const json = 'application/json';
const told = ({ status, body, text }: Answer) => [status, body ?? text];
const noKey = [403, { error: 'No valid api key found.' }];
const uuid = '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}';

const unchanged = <T>(work: () => Promise<T>): Promise<T> => nothingStored(kit, work);

const upload = (parts: Part[], folder = '', key: string | null = kit.keys.ADMIN) =>
  postForm(kit, `/api/v1/document/upload${folder}`, parts, { key });
const file = (fileName: string, content: string | Uint8Array): Part => ({ name: 'file', fileName, content });
const addText = (title: string, textContent: string, more: object = {}, metadata: object = {}) =>
  kit.rest('POST', '/api/v1/document/raw-text', { body: { textContent, metadata: { title, ...metadata }, ...more } });
const added = async (...args: Parameters<typeof addText>) => {
  const answer = await addText(...args);
  expect(answer.status, answer.text).toBe(200);
  return answer.body.documents[0];
};
const addLink = (link: unknown, more: object = {}) =>
  kit.rest('POST', '/api/v1/document/upload-link', { body: { link, ...more } });
const createFolder = (name: unknown) => kit.rest('POST', '/api/v1/document/create-folder', { body: { name } });
const folder = (name: string, query = '') => kit.rest('GET', `/api/v1/documents/folder/${name}${query}`);
const namesIn = async (name: string): Promise<string[]> =>
  (await folder(name)).body.documents.map(({ name }: { name: string }) => name);
const move = (files: unknown) => kit.rest('POST', '/api/v1/document/move-files', { body: { files } });
const remove = (names: unknown) => kit.rest('DELETE', '/api/v1/system/remove-documents', { body: { names } });

interface Entry {
  id: string;
  name: string;
  title: string;
  items: Entry[];
}
const summary = ({ name, items }: Entry) => [name, items.map(({ title }) => title)];

/** Creates a public agent that searches its own documents. */
const workspace = (slug: string, data: object = {}) =>
  kit.prisma.agent.create({
    data: { name: slug, slug, isPublic: true, knowledge: 'ATTACHED', passageLimit: 4, similarityThreshold: 0, ...data },
  });
const search = (slug: string, body: object, key = kit.keys.ADMIN) =>
  kit.rest('POST', `/api/v1/workspace/${slug}/vector-search`, { body, key });

describe('a text', () => {
  test('becomes a document with all metadata of the request', async () => {
    const published = Date.UTC(2023, 10, 14, 22, 13, 20);
    const document = await added(
      'Hello World.txt',
      'One two  three\nfour',
      {},
      { url: 'https://Example.com/A', docAuthor: 'Anna', published: String(published), docSource: 7, other: 'x' },
    );
    expect(document).toEqual({
      id: expect.stringMatching(new RegExp(`^${uuid}$`)),
      url: 'web://https://example.com/a.website',
      title: 'hello-world.txt',
      docAuthor: 'Anna',
      description: 'no description found',
      docSource: '7',
      chunkSource: 'Hello World.txt',
      published: '11/14/2023, 10:13:20 PM',
      wordCount: 4,
      pageContent: 'One two  three\nfour',
      token_count_estimate: 5,
      location: `custom-documents/raw-hello-world-${document.id}.json`,
      isDirectUpload: false,
    });
    expect(await kit.prisma.document.findFirst()).toMatchObject({
      externalId: document.id,
      title: 'Hello World.txt',
      link: 'https://Example.com/A',
      isPublic: true,
      wordCount: 4,
      tokenCount: 5,
      documentUpdatedAt: new Date(published),
    });
    expect(await kit.prisma.auditEvent.findFirst({ orderBy: { id: 'desc' } })).toMatchObject({
      action: 'document.ingest',
      targetId: document.id,
    });
  });

  test('is accepted as a form and as JSON under text/plain, with its metadata as a JSON string', async () => {
    const metadata = JSON.stringify({ title: 'Notes' });
    const form = await kit.rest('POST', '/api/v1/document/raw-text', {
      body: new URLSearchParams({ textContent: 'x', metadata }).toString(),
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
    expect(form.body.documents[0]).toMatchObject({ title: 'notes.txt', url: 'file://notes.txt', pageContent: 'x' });
    const plain = await kit.rest('POST', '/api/v1/document/raw-text', {
      body: JSON.stringify({ textContent: 'x', metadata }),
      headers: { 'content-type': 'text/plain' },
    });
    expect(plain.status).toBe(200);
  });

  test('has the same name in every response when its title contains no characters that a URL can contain', async () => {
    const document = await added('日本語', 'x');
    const [entry] = (await folder('custom-documents')).body.documents;
    expect([entry.title, entry.chunkSource]).toEqual([document.title, '日本語']);
    expect(document.title).toMatch(new RegExp(`^${uuid}\\.txt$`));
  });

  test('is added to the named workspaces, and unknown workspaces are ignored', async () => {
    const { id } = await workspace('penguins');
    const document = await added('Krill', 'Krill is eaten.', { addToWorkspaces: ' PENGUINS, nowhere,,' });
    const { agents } = await kit.prisma.document.findFirstOrThrow({ include: { agents: true } });
    expect(agents.map((agent) => agent.id)).toEqual([id]);
    expect((await kit.rest('GET', `/api/v1/document/${document.location.split('/')[1]}`)).body.document.cached).toBe(
      true,
    );
    await kit.prisma.agent.delete({ where: { id } });
  });

  test('is added to no workspace when addToWorkspaces is empty', async () => {
    for (const addToWorkspaces of [null, '', 0]) await added('Nobody’s', 'x', { addToWorkspaces });
    expect(await kit.prisma.document.count({ where: { agents: { some: {} } } })).toBe(0);
  });

  test('has the same name in every response, also when its title contains dots', async () => {
    const made = await kit.rest('POST', '/api/v1/workspace/new', { body: { name: 'Bakery', similarityThreshold: 0 } });
    expect(made.status).toBe(200);
    const document = await added('www.Example.com', 'Bread is baked at dawn.', { addToWorkspaces: 'bakery' });
    expect(document).toMatchObject({ title: 'www-dot-example.txt', url: 'file://www-dot-example.txt' });
    expect(document.location).toBe(`custom-documents/raw-www-dot-example-${document.id}.json`);
    const [entry] = (await folder('custom-documents')).body.documents;
    const [passage] = (await search('bakery', { query: 'bread' })).body.results;
    const chat = await kit.rest('POST', '/api/v1/workspace/bakery/chat', { body: { message: 'When is bread baked?' } });
    expect([entry.title, passage.metadata.title]).toEqual([document.title, document.title]);
    const common = ['title', 'url', 'docAuthor', 'docSource', 'chunkSource'];
    for (const name of common) expect([name, chat.body.sources[0][name]]).toEqual([name, document[name]]);
    expect(chat.body.sources[0].id).toBe(passage.id);
    // The answer lists the document as a source and contains no broken link.
    expect(chat.body.textResponse).not.toContain('[[');
    await kit.rest('DELETE', '/api/v1/workspace/bakery');
  });

  test('gets metadata that is cut off at the maximum length', async () => {
    const document = await added('Long', 'x', {}, { description: 'd'.repeat(5000), docAuthor: `${'a'.repeat(499)}😀` });
    expect(document.description).toBe('d'.repeat(2000));
    expect(document.docAuthor).toBe('a'.repeat(499));
  });

  const noTitle =
    "You are missing required metadata key:value pairs in your request. Required metadata key:values are 'title'";
  test.each<[string, object, string]>([
    ['no metadata', { textContent: 'x' }, noTitle],
    ['metadata that is no JSON', { textContent: 'x', metadata: '{' }, noTitle],
    ['a title that is none', { textContent: 'x', metadata: { title: {} } }, noTitle],
    ['a blank title', { textContent: 'x', metadata: { title: '  ' } }, noTitle],
    ['no text', { metadata: { title: 'a' } }, "The 'textContent' key cannot have an empty value."],
    [
      'a blank text',
      { textContent: ' \n', metadata: { title: 'a' } },
      "The 'textContent' key cannot have an empty value.",
    ],
    [
      'workspaces in a list',
      { textContent: 'x', metadata: { title: 'a' }, addToWorkspaces: ['a'] },
      'addToWorkspaces must be a string of comma-separated workspace slugs. Got object',
    ],
  ])('is rejected with 422 for %s', async (_what, body, error) => {
    const answer = await unchanged(() => kit.rest('POST', '/api/v1/document/raw-text', { body }));
    expect(told(answer)).toEqual([422, { success: false, error }]);
  });

  test.each([
    ['NUL', 'a\0b', 'textContent: '],
    ['half a character', '\ud800', 'textContent: '],
    ['more than two million characters', 'x'.repeat(2_000_001), 'textContent: '],
  ])('is rejected with 422 for %s, and the error names the field', async (_what, textContent, field) => {
    const answer = await unchanged(() => addText('a', textContent));
    expect(answer.status).toBe(422);
    expect(answer.body).toEqual({ success: false, error: expect.stringContaining(field), documents: [] });
  });
});

describe('a file', () => {
  test('becomes a document, and the file itself is not stored', async () => {
    const files = await kit.prisma.file.count();
    const answer = await upload([file('Käse & Brot.txt', 'Bread and cheese.')]);
    expect(answer.status, answer.text).toBe(200);
    const [document] = answer.body.documents;
    expect(answer.body).toEqual({
      success: true,
      error: null,
      documents: [
        {
          id: expect.stringMatching(new RegExp(`^${uuid}$`)),
          url: 'file://Käse & Brot.txt',
          title: 'Käse & Brot.txt',
          docAuthor: 'Unknown',
          description: 'Unknown',
          docSource: 'a text file uploaded by the user.',
          chunkSource: '',
          published: expect.stringMatching(/^\d{1,2}\/\d{1,2}\/\d{4}, \d{1,2}:\d\d:\d\d [AP]M$/),
          wordCount: 3,
          pageContent: 'Bread and cheese.',
          token_count_estimate: 5,
          location: `custom-documents/kase-and-brot.txt-${document.id}.json`,
          isDirectUpload: false,
        },
      ],
    });
    expect(await kit.prisma.file.count()).toBe(files);
  });

  test('creates the folder of its path, and accepts workspaces and metadata in the form', async () => {
    const { id } = await workspace('fish');
    const metadata = JSON.stringify({ title: 'Fish', docAuthor: 'Ben', extra: 'dropped' });
    const answer = await upload(
      [
        file('../etc/passwd', 'Cod.'),
        { name: 'addToWorkspaces', content: 'fish' },
        { name: 'metadata', content: metadata },
      ],
      '/atlantic',
    );
    const [document] = answer.body.documents;
    expect(document).toMatchObject({
      title: 'Fish',
      docAuthor: 'Ben',
      url: 'file://passwd',
      name: `passwd-${document.id}.json`,
    });
    expect(document.location).toBe(`atlantic/${document.name}`);
    const { agents, folder } = await kit.prisma.document.findFirstOrThrow({ include: { agents: true, folder: true } });
    expect([agents.map((agent) => agent.id), folder?.name]).toEqual([[id], 'atlantic']);
    expect((await upload([file('more.md', '# More')], '/atlantic')).status).toBe(200);
    expect(await kit.prisma.documentFolder.count()).toBe(1);
    await kit.prisma.agent.delete({ where: { id } });
  });

  test('is parsed by its type: PDF, DOCX, and text under an unknown extension', async () => {
    const texts: [string, Uint8Array | string, string, string][] = [
      ['a.pdf', pdf(['Walrus']), 'Walrus', 'pdf file uploaded by the user.'],
      ['a.docx', docx(paragraph('Seal')), 'Seal', 'docx file uploaded by the user.'],
      ['a.zzz', 'Otter', 'Otter', 'a text file uploaded by the user.'],
    ];
    for (const [name, content, text, docSource] of texts) {
      const { status, body, text: raw } = await upload([file(name, content)]);
      expect(status, raw).toBe(200);
      expect(body.documents[0]).toMatchObject({ pageContent: expect.stringContaining(text), docSource });
    }
  });

  test.each<[string, Part[], string, number, string]>([
    [
      'unknown bytes',
      [file('a.zzz', Buffer.from([0, 1, 2]))],
      '',
      422,
      'File extension .zzz not supported for parsing and cannot be assumed as text file type.',
    ],
    ['a file that is no PDF', [file('a.pdf', 'text')], '', 422, 'a.pdf is not a PDF document.'],
    ['an empty file', [file('a.txt', '')], '', 422, 'a.txt is empty.'],
    ['a blank file', [file('a.txt', ' \n ')], '', 422, 'a.txt contains no readable text.'],
    [
      'an image',
      [file('a.png', Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'))],
      '',
      422,
      'a.png is an image without text.',
    ],
    ['a folder that is a path', [file('a.txt', 'x')], '/a%2Fb', 400, 'must be a name, not a path'],
    ['a folder that is a path of another system', [file('a.txt', 'x')], '/a%5Cb', 400, 'must be a name, not a path'],
  ])('is rejected and changes no data: %s', async (_what, parts, where, status, error) => {
    const answer = await unchanged(() => upload(parts, where));
    expect(told(answer)).toEqual([status, { success: false, error, documents: [] }]);
  });

  test.each<[string, Part[], number, string]>([
    [
      'under another name',
      [{ name: 'files', fileName: 'a.txt', content: 'x' }],
      400,
      'Invalid file upload. Unexpected field',
    ],
    ['twice', [file('a.txt', 'x'), file('b.txt', 'x')], 400, 'Invalid file upload. Unexpected field'],
    ['as a text', [{ name: 'file', content: 'x' }], 400, 'Invalid file upload. Unexpected field'],
    [
      'with workspaces twice',
      [file('a.txt', 'x'), { name: 'addToWorkspaces', content: 'a' }, { name: 'addToWorkspaces', content: 'b' }],
      422,
      'addToWorkspaces must be a string of comma-separated workspace slugs. Got object',
    ],
  ])('is rejected and changes no data: %s', async (_what, parts, status, error) => {
    const answer = await unchanged(() => upload(parts));
    expect(told(answer)).toEqual([status, { success: false, error }]);
  });

  test('returns 415 when the request is not a multipart form', async () => {
    const answer = await unchanged(() => kit.rest('POST', '/api/v1/document/upload', { body: { file: 'x' } }));
    expect(answer.status).toBe(415);
    expect(answer.headers.get('content-type')).toContain(json);
  });
});

describe('a link', () => {
  test('becomes a document with the main text of its page', async () => {
    asked.length = 0;
    const answer = await addLink(`${site}/article`, {
      scraperHeaders: { 'X-Token': 'own', Host: 'evil.example', count: 3 },
      metadata: { docAuthor: 'Anna' },
    });
    expect(answer.status, answer.text).toBe(200);
    const [document] = answer.body.documents;
    expect(document).toMatchObject({
      title: 'The lighthouse of Wrangel',
      url: 'file://127-dot-0-dot-0-dot-1-article.html',
      docAuthor: 'Anna',
      description: 'No description found.',
      docSource: 'URL link uploaded by the user.',
      chunkSource: `link://${site}/article`,
      location: expect.stringMatching(new RegExp(`^custom-documents/url-.+-${document.id}\\.json$`)),
    });
    expect(document.pageContent).toContain('counts walruses');
    expect(document.pageContent).toMatch(/^# The lighthouse of Wrangel\n/);
    expect(document.pageContent).not.toMatch(/Menu|Imprint|document\.title/);
    expect(asked.map((headers) => [headers['x-token'], headers.host, headers.count])).toEqual([
      ['own', new URL(site).host, undefined],
    ]);
    const { link, metadata } = await kit.prisma.document.findFirstOrThrow();
    expect(link).toBe(`${site}/article`);
    expect(JSON.stringify(metadata)).not.toContain('own');
    expect(kit.log.join('')).not.toContain('own"');
  });

  test('to a file becomes a document with its text, and the encoding of a page is respected', async () => {
    const text = async (path: string) => (await addLink(`${site}${path}`)).body.documents[0].pageContent;
    expect(await text('/report')).toContain('Walrus census');
    expect(await text('/notes.md')).toBe('# Notes\n\nOne walrus.');
    expect(await text('/latin')).toContain('Gr\u00fc\u00dfe');
  });

  test.each<[string, () => unknown, string]>([
    ['a private address', () => 'http://192.168.0.1/', 'has an address that is not public'],
    ['the address of cloud metadata', () => 'http://169.254.169.254/latest', 'has an address that is not public'],
    ['this server itself', () => kit.url, 'has an address that is not public'],
    ['a redirect to a private address', () => `${site}/inside`, 'has an address that is not public'],
    ['a page that does not exist', () => `${site}/nothing`, 'responds with HTTP 404'],
    ['a file', () => 'file:///etc/passwd', 'is not an http or https URL'],
    ['an address with a password', () => 'http://a:b@example.com/', 'has a user name or password in its URL'],
    ['what is no address', () => 'nothing', 'has an invalid URL'],
    ['bytes that are no text', () => `${site}/bytes`, 'not supported for parsing'],
    ['a page without a text', () => `${site}/blank`, 'contains no readable text'],
    ['no link', () => undefined, 'link: '],
    ['a link that is no text', () => ['http://x'], 'link: '],
  ])('is rejected with 422 and changes no data: %s', async (_what, link, reason) => {
    const answer = await unchanged(() => addLink(link()));
    expect(answer.status, answer.text).toBe(422);
    expect(answer.body).toEqual({ success: false, error: expect.stringContaining(reason), documents: [] });
    if (typeof link() === 'string') expect(answer.body.error).toMatch(/^No URL content found at /);
  });
});

describe('folders', () => {
  test('are listed with their documents, beginning with the default folder', async () => {
    await createFolder('birds');
    await createFolder('aquatic');
    await added('Loose', 'x');
    const { id } = await workspace('zoo');
    const { body } = await upload(
      [file('auk.txt', 'Auks dive.'), { name: 'addToWorkspaces', content: 'zoo' }],
      '/birds',
    );
    const { name } = body.documents[0];
    await kit.prisma.agent.update({ where: { id }, data: { pinnedDocuments: { connect: { fileName: name } } } });
    const { localFiles } = (await kit.rest('GET', '/api/v1/documents')).body;
    expect(localFiles).toMatchObject({ name: 'documents', type: 'folder' });
    expect(localFiles.items.map(summary)).toEqual([
      ['custom-documents', ['loose.txt']],
      ['aquatic', []],
      ['birds', ['auk.txt']],
    ]);
    expect(localFiles.items[2].items[0]).toEqual({
      ...{ name, type: 'file', id: body.documents[0].id, url: 'file://auk.txt', title: 'auk.txt' },
      ...{ docAuthor: 'Unknown', description: 'Unknown', docSource: 'a text file uploaded by the user.' },
      ...{ chunkSource: '', published: body.documents[0].published, wordCount: 2, token_count_estimate: 3 },
      ...{ cached: true, canWatch: false, pinnedWorkspaces: [id], watched: false },
    });
    await kit.prisma.agent.delete({ where: { id } });
  });

  test('are read in pages', async () => {
    for (const title of ['one', 'two', 'three']) await added(title, title);
    const page = async (path: string) => {
      const { status, body } = await kit.rest('GET', path);
      return [status, body.documents.map(({ title }: Entry) => title), body.totalCount, body.hasMore];
    };
    const all = ['three.txt', 'two.txt', 'one.txt'];
    const path = '/api/v1/documents/folder/custom-documents';
    expect(await page(path)).toEqual([200, all, 3, false]);
    expect(await page(`${path}?limit=all`)).toEqual([200, all, 3, false]);
    expect(await page(`${path}?limit=2`)).toEqual([200, all.slice(0, 2), 3, true]);
    expect(await page(`${path}?limit=2&offset=2`)).toEqual([200, all.slice(2), 3, false]);
    expect(await page(`${path}?limit=abc&offset=-1`)).toEqual([200, all, 3, false]);
    expect(await page(`${path}?limit=0&offset=99999999999`)).toEqual([200, all, 3, false]);
    expect(await page('/api/v1/documents?folder=custom-documents&limit=1')).toEqual([200, all.slice(0, 1), 3, true]);
    const { body } = await kit.rest('GET', '/api/v1/documents?folder=../custom-documents');
    expect(body).toMatchObject({ folder: 'custom-documents', totalCount: 3, code: 200, error: null });
    expect((await folder('custom-documents')).body).not.toHaveProperty('code');
  });

  test('return 404 when they do not exist', async () => {
    const nothing = { folder: 'x', documents: [], totalCount: 0, hasMore: false, error: 'Folder "x" does not exist.' };
    expect(told(await folder('x'))).toEqual([404, nothing]);
    expect(told(await kit.rest('GET', '/api/v1/documents?folder=x'))).toEqual([404, { ...nothing, code: 404 }]);
    expect((await folder('%00')).status).toBe(404);
    expect((await folder('a%2Fb')).status).toBe(404);
  });

  test('take the same number of SQL statements, regardless of the number of folders', async () => {
    const count = async () => {
      await kit.rest('GET', '/api/v1/documents');
      kit.statements.length = 0;
      await kit.rest('GET', '/api/v1/documents');
      return kit.statements.filter((text) => !text.startsWith('UPDATE')).length;
    };
    const fill = async (name: string) => {
      await createFolder(name);
      await upload([file('a.txt', 'a')], `/${name}`);
      await added(name, name);
    };
    await fill('first');
    const before = await count();
    for (const name of ['second', 'third', 'fourth']) await fill(name);
    expect(await count()).toBe(before);
  });

  test('are created once, and a name that is taken or invalid is rejected', async () => {
    expect(told(await createFolder('../../birds'))).toEqual([200, { success: true, message: null }]);
    expect((await kit.prisma.documentFolder.findMany()).map(({ name }) => name)).toEqual(['birds']);
    for (const name of ['birds', 'custom-documents'])
      expect(told(await unchanged(() => createFolder(name)))).toEqual([
        409,
        { success: false, message: 'Folder by that name already exists' },
      ]);
    for (const name of ['', '..', '.', 'a/b', 'a\\b', 'a\0b', 'x'.repeat(256), 7, undefined])
      expect(told(await unchanged(() => createFolder(name))), String(name)).toEqual([
        400,
        { success: false, message: 'Failed to create folder: Invalid path.' },
      ]);
  });

  test('are deleted with their documents, and deleting an unknown folder returns 200', async () => {
    const done = [200, { success: true, message: 'Folder removed successfully' }];
    const removeFolder = (body: object) => kit.rest('DELETE', '/api/v1/document/remove-folder', { body });
    await upload([file('auk.txt', 'Auks.')], '/birds');
    const loose = await added('Loose', 'x');
    expect(told(await removeFolder({ name: 'birds' }))).toEqual(done);
    expect((await kit.prisma.document.findMany()).map(({ externalId }) => externalId)).toEqual([loose.id]);
    expect(await kit.prisma.documentFolder.count()).toBe(0);
    await unchanged(async () => {
      for (const body of [{ name: 'birds' }, {}, { name: 'custom-documents' }, { name: 'a/b' }])
        expect(told(await removeFolder(body))).toEqual(done);
    });
  });
});

describe('moving documents', () => {
  test('puts them in another folder, under a new name when the request contains one', async () => {
    await createFolder('birds');
    const [one, two] = [await added('one', 'x'), await added('two', 'x')];
    const name = one.location.split('/')[1];
    const answer = await move([
      { from: one.location, to: `birds/${name}` },
      { from: two.location, to: 'birds/second.json' },
    ]);
    expect(told(answer)).toEqual([200, { success: true, message: null }]);
    expect(await namesIn('birds')).toEqual(['second.json', name]);
    expect(await namesIn('custom-documents')).toEqual([]);
    expect((await move([{ from: 'birds/second.json', to: 'custom-documents/second.json' }])).status).toBe(200);
    expect(await namesIn('custom-documents')).toEqual(['second.json']);
    expect((await kit.prisma.auditEvent.findFirst({ orderBy: { id: 'desc' } }))?.action).toBe('document.move');
  });

  test('skips documents that belong to a workspace', async () => {
    const { id } = await workspace('zoo');
    await createFolder('birds');
    const kept = await added('kept', 'x', { addToWorkspaces: 'zoo' });
    const loose = await added('loose', 'x');
    const moves = [kept, loose].map(({ location }) => ({ from: location, to: location.replace(/^[^/]+/, 'birds') }));
    expect(told(await move(moves))).toEqual([
      200,
      { success: true, message: '1/2 files not moved. Unembed them from all workspaces.' },
    ]);
    expect(await namesIn('custom-documents')).toEqual([kept.location.split('/')[1]]);
    await kit.prisma.agent.delete({ where: { id } });
  });

  test('moves no documents when one of them cannot be moved', async () => {
    await createFolder('birds');
    const [one, two] = [await added('one', 'x'), await added('two', 'x')];
    const good = { from: one.location, to: 'birds/one.json' };
    const some = { success: false, message: 'Failed to move some files.' };
    for (const [bad, status] of [
      [{ from: 'custom-documents/nothing.json', to: 'birds/nothing.json' }, 400],
      [{ from: two.location, to: 'nowhere/two.json' }, 400],
      [{ from: two.location, to: 'birds/../../two.json' }, 400],
      [{ from: two.location, to: 'birds/two.txt' }, 400],
      [{ from: two.location, to: 'two.json' }, 400],
      [{ from: two.location, to: 'birds/one.json' }, 409],
    ] as const)
      expect(told(await unchanged(() => move([good, bad]))), JSON.stringify(bad)).toEqual([status, some]);
    for (const files of [undefined, 'x', [{ from: 'x' }], [3]])
      expect(told(await unchanged(() => move(files)))).toEqual([
        400,
        { success: false, message: 'Failed to move files.' },
      ]);
  });
});

describe('a document', () => {
  test('is read by its name, in any folder', async () => {
    const { body } = await upload([file('auk.txt', 'Auks.')], '/birds');
    const { name } = body.documents[0];
    const answer = await kit.rest('GET', `/api/v1/document/${name}`);
    expect(answer.body.document).toMatchObject({ name, type: 'file', title: 'auk.txt', cached: false });
    expect(answer.body.document).not.toHaveProperty('pageContent');
    expect(answer.body.localFiles.items).toEqual([answer.body.document]);
    for (const other of ['nothing.json', 'a%00', '..%2Fx', `custom-documents%2F${name}`])
      expect(told(await kit.rest('GET', `/api/v1/document/${other}`)), other).toEqual([404, 'Not Found']);
    expect((await kit.rest('GET', `/api/v1/document/birds%2F${name}`)).status).toBe(200);
  });

  test('is removed by its location, and removing an unknown document returns 200', async () => {
    const [one, two] = [await added('one', 'x'), await added('two', 'x')];
    const done = [200, { success: true, message: 'Documents removed successfully' }];
    expect(told(await remove([one.location, 'custom-documents/x.json', 7, 'x', '\0']))).toEqual(done);
    expect(await namesIn('custom-documents')).toEqual([two.location.split('/')[1]]);
    await unchanged(async () => {
      expect(told(await remove([one.location, two.location.replace(/^[^/]+/, 'elsewhere')]))).toEqual(done);
      // An invalid name must not select all documents.
      for (const names of [[], [7], ['x'], ['../x', '\0', two.location.split('/')[1]]])
        expect(told(await remove(names))).toEqual(done);
      expect(told(await move([]))).toEqual([200, { success: true, message: null }]);
      for (const names of [undefined, 'x', {}])
        expect(told(await remove(names))).toEqual([
          400,
          { success: false, message: 'names must be a list of document names.' },
        ]);
      const many = Array.from({ length: 10_001 }, () => two.location);
      expect(told(await remove(many))).toEqual([400, { success: false, message: 'names must be at most 10,000.' }]);
      expect(told(await remove(['x'.repeat(601)]))).toEqual([
        400,
        { success: false, message: 'names must have at most 600 characters each.' },
      ]);
    });
  });
});

test('returns the accepted file types and the metadata schema', async () => {
  const { types } = (await kit.rest('GET', '/api/v1/document/accepted-file-types')).body;
  expect(types).toMatchObject({ 'application/pdf': ['.pdf'], 'text/markdown': ['.md', '.markdown'] });
  expect(Object.keys(types).filter((type) => type.startsWith('image/'))).toEqual([]);
  expect((await kit.rest('GET', '/api/v1/document/metadata-schema')).body.schema).toEqual({
    url: 'string | nullable',
    title: 'string',
    docAuthor: 'string | nullable',
    description: 'string | nullable',
    docSource: 'string | nullable',
    chunkSource: 'string | nullable',
    published: 'epoch timestamp in ms | nullable',
  });
});

test('returns 404 for a generated file, and 400 for an invalid file name', async () => {
  const path = '/api/v1/document/generated-files';
  const unknown = await kit.rest('GET', `${path}/pdf-e9e14f28-d6b6-4f49-91a0-dd331517f567.pdf`);
  expect(told(unknown)).toEqual([404, { error: 'File not found' }]);
  for (const name of ['x.pdf', '..%2F..%2Fetc%2Fpasswd', 'pdf-e9e14f28.pdf'])
    expect(told(await kit.rest('GET', `${path}/${name}`))).toEqual([400, { error: 'Invalid filename format' }]);
});

describe('searching a workspace', () => {
  test('returns its passages with the metadata of their documents', async () => {
    const { id } = await workspace('arctic');
    await added('Walrus', 'Walruses rest on ice floes.', { addToWorkspaces: 'arctic' }, { docAuthor: 'Anna' });
    await added('Elsewhere', 'Walruses are elsewhere too.');
    const { status, body } = await search('arctic', { query: 'walruses' });
    expect(status).toBe(200);
    const [{ score }] = body.results;
    expect(body).toEqual({
      results: [
        {
          id: expect.any(String),
          text: 'Walruses rest on ice floes.',
          metadata: {
            ...{ url: 'file://walrus.txt', title: 'walrus.txt', author: 'Anna', description: 'no description found' },
            ...{ docSource: 'no source set', chunkSource: 'Walrus', published: expect.any(String) },
            ...{ wordCount: 5, tokenCount: 7 },
          },
          distance: 1 - score,
          score,
        },
      ],
    });
    expect(score).toBeGreaterThan(0);
    expect(score).toBeLessThanOrEqual(1);
    await kit.prisma.agent.delete({ where: { id } });
  });

  test('applies the limits of the workspace unless the request sets its own', async () => {
    const { id } = await workspace('arctic', { passageLimit: 2, similarityThreshold: 0 });
    for (const title of ['one', 'two', 'three']) await added(title, `Narwhal ${title}.`, { addToWorkspaces: 'arctic' });
    const found = async (body: object) => (await search('arctic', { query: 'narwhal', ...body })).body.results.length;
    expect(await found({})).toBe(2);
    expect(await found({ topN: 3 })).toBe(3);
    expect(await found({ topN: 1e12 })).toBe(3);
    expect(await found({ topN: 0 })).toBe(2);
    expect(await found({ topN: 'x', scoreThreshold: 2 })).toBe(2);
    expect(await found({ topN: '3' })).toBe(3);
    const query = 'narwhal one';
    expect(await found({ query, topN: 3 })).toBe(3);
    for (const scoreThreshold of [0.5, '0.5', 1]) expect(await found({ query, topN: 3, scoreThreshold })).toBe(1);
    await kit.prisma.agent.update({ where: { id }, data: { similarityThreshold: 1 } });
    expect(await found({ query, topN: 3, scoreThreshold: 0 })).toBe(3);
    expect(await found({ query, topN: 3 })).toBe(1);
    await kit.prisma.agent.delete({ where: { id } });
  });

  test('returns a message for an empty workspace, an unknown workspace and an empty query', async () => {
    const { id } = await workspace('empty');
    const hidden = await workspace('hidden', { isPublic: false });
    expect(told(await search('empty', { query: 'x' }))).toEqual([
      200,
      { results: [], message: 'No embeddings found for this workspace.' },
    ]);
    const invalid = (slug: string) => [400, { message: `Workspace ${slug} is not a valid workspace.` }];
    expect(told(await search('nowhere', { query: 'x' }))).toEqual(invalid('nowhere'));
    expect(told(await search('hidden', { query: 'x' }, kit.keys.BASIC))).toEqual(invalid('hidden'));
    for (const query of ['', '  ', 7, undefined])
      expect(told(await search('empty', { query }))).toEqual([400, { message: 'Query parameter cannot be empty.' }]);
    await kit.prisma.agent.deleteMany({ where: { id: { in: [id, hidden.id] } } });
  });
});

test('the vector count is the number of passages', async () => {
  const count = async () => (await kit.rest('GET', '/api/v1/system/vector-count')).body;
  expect(await count()).toEqual({ vectorCount: 0 });
  await added('one', 'x');
  expect(await count()).toEqual({ vectorCount: 1 });
});

test('a document is the same on the AnythingLLM paths, on the Onyx paths and in GraphQL', async () => {
  const { id: agentId } = await workspace('reef');
  const text = await added('Coral', 'Corals bleach in warm water.', { addToWorkspaces: 'reef' });
  await kit.ingest('Sponges', 'Sponges filter water.', { id: 'sponges', link: 'https://sea.example/sponges' });
  const listed = (await kit.rest('GET', '/api/onyx-api/ingestion')).body.map(
    (document: { document_id: string }) => document.document_id,
  );
  expect(listed.sort()).toEqual(['sponges', text.id].sort());
  const found = await kit.gql('{ search(query: "water") { documentId } documents { nodes { documentId } } }');
  expect(found.data.search.map((hit: { documentId: string }) => hit.documentId).sort()).toEqual(
    ['sponges', text.id].sort(),
  );
  expect(found.data.documents.nodes).toHaveLength(2);
  const { documents } = (await folder('custom-documents')).body;
  const sponges = documents.find(({ id }: Entry) => id === 'sponges');
  expect(sponges).toMatchObject({
    name: expect.stringMatching(new RegExp(`^sponges-${uuid}\\.json$`)),
    title: 'Sponges',
    url: 'https://sea.example/sponges',
    docAuthor: 'no author specified',
    wordCount: 3,
    token_count_estimate: 6,
  });
  const { id: actionId } = await kit.prisma.action.findUniqueOrThrow({ where: { builtinKey: 'SearchTool' } });
  await kit.prisma.agent.update({ where: { id: agentId }, data: { actions: { connect: { id: actionId } } } });
  const turn = await kit.gql(
    `mutation ($agentId: ID!) {
      sendChatMessage(input: { message: "What do corals do in warm water?", newSession: { agentId: $agentId } }) { citations { documentId } }
    }`,
    { agentId },
  );
  expect(turn.data?.sendChatMessage.citations, JSON.stringify(turn.errors)).toEqual([{ documentId: text.id }]);
  expect((await kit.rest('DELETE', `/api/onyx-api/ingestion/${text.id}`)).status).toBe(200);
  await remove([`custom-documents/${sponges.name}`]);
  expect(await kit.prisma.document.count()).toBe(0);
});

test('documents that are private to a project and the texts of files are in no folder', async () => {
  const owner = await kit.createKey('BASIC');
  const project = await kit.prisma.project.create({ data: { name: 'p', ownerId: owner.userId } });
  await kit.prisma.document.create({
    data: {
      ...{ externalId: 'private', title: 'private', fileName: 'private.json', contentHash: new Uint8Array() },
      ...{ isPublic: false, ownerId: owner.userId, projectId: project.id },
    },
  });
  await kit.upload('mine.txt', 'The text of a file.');
  expect(await namesIn('custom-documents')).toEqual([]);
  const { localFiles } = (await kit.rest('GET', '/api/v1/documents')).body;
  expect(localFiles.items).toEqual([{ name: 'custom-documents', type: 'folder', items: [] }]);
  const { fileName } = await kit.prisma.document.findFirstOrThrow({ where: { source: 'user_file' } });
  await unchanged(async () => {
    for (const name of ['private.json', fileName]) {
      expect((await kit.rest('GET', `/api/v1/document/${name}`)).status).toBe(404);
      expect((await remove([`custom-documents/${name}`])).status).toBe(200);
      expect((await move([{ from: `custom-documents/${name}`, to: 'custom-documents/x.json' }])).status).toBe(400);
    }
  });
});

describe('permissions', () => {
  const calls: [string, string, object?][] = [
    ['POST', '/api/v1/document/upload-link', { link: 'http://127.0.0.1/' }],
    ['POST', '/api/v1/document/raw-text', { textContent: 'x', metadata: { title: 'x' } }],
    ['POST', '/api/v1/document/raw-text', {}],
    ['GET', '/api/v1/documents'],
    ['GET', '/api/v1/documents?folder=x'],
    ['GET', '/api/v1/documents/folder/custom-documents'],
    ['GET', '/api/v1/document/accepted-file-types'],
    ['GET', '/api/v1/document/x.json'],
    ['POST', '/api/v1/document/create-folder', { name: 'x' }],
    ['DELETE', '/api/v1/document/remove-folder', { name: 'x' }],
    ['POST', '/api/v1/document/move-files', { files: [] }],
    ['GET', '/api/v1/system/vector-count'],
    ['DELETE', '/api/v1/system/remove-documents', { names: [] }],
  ];

  test('documents require `manage:documents`, and clients without a valid key always get the same error', async () => {
    const scoped = await kit.createKey('ADMIN', { scopes: ['read:search', 'manage:agents'] });
    const callers = [kit.keys.BASIC, kit.keys.LIMITED, scoped.secret];
    await unchanged(async () => {
      for (const [method, path, body] of calls) {
        for (const key of callers) {
          const answer = await kit.rest(method, path, { key, body });
          expect(told(answer), path).toEqual([403, { error: 'This credential lacks `manage:documents`.' }]);
        }
        for (const key of [null, 'sk-nothing'])
          expect(told(await kit.rest(method, path, { key, body }))).toEqual(noKey);
      }
      for (const key of callers) expect((await upload([file('a.txt', 'x')], '', key)).status).toBe(403);
      expect(told(await upload([file('a.txt', 'x')], '/x', null))).toEqual(noKey);
      for (const path of ['metadata-schema', 'generated-files/x.pdf'])
        expect(told(await kit.rest('GET', `/api/v1/document/${path}`, { key: null }))).toEqual(noKey);
    });
  });

  test('a search requires `read:search`', async () => {
    const scoped = await kit.createKey('ADMIN', { scopes: ['manage:documents'] });
    await unchanged(async () => {
      for (const key of [kit.keys.LIMITED, scoped.secret])
        expect(told(await search('default', { query: 'x' }, key))).toEqual([
          403,
          { error: 'This credential lacks `read:search`.' },
        ]);
    });
    expect((await search('default', { query: 'x' }, kit.keys.BASIC)).status).toBe(200);
  });

  test('a caller without `read:agents` does not see the workspaces of a document', async () => {
    const { id } = await workspace('zoo');
    await added('Auk', 'x', { addToWorkspaces: 'zoo' });
    const { secret } = await kit.createKey('ADMIN', { scopes: ['manage:documents'] });
    const { body } = await kit.rest('GET', '/api/v1/documents/folder/custom-documents', { key: secret });
    expect(body.documents).toMatchObject([{ title: 'auk.txt', cached: false, pinnedWorkspaces: [] }]);
    await kit.prisma.agent.delete({ where: { id } });
  });

  test('a caller cannot add documents to an agent that they may not edit', async () => {
    const { id } = await workspace('foreign');
    const { secret } = await kit.createKey('ADMIN', { scopes: ['manage:documents'] });
    const body = { textContent: 'x', metadata: { title: 'x' }, addToWorkspaces: 'foreign' };
    expect((await kit.rest('POST', '/api/v1/document/raw-text', { key: secret, body })).status).toBe(200);
    const { documents } = await kit.prisma.agent.findUniqueOrThrow({ where: { id }, include: { documents: true } });
    expect(documents).toEqual([]);
    await kit.prisma.agent.delete({ where: { id } });
  });
});
