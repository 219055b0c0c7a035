import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { zipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  declareSize,
  docx,
  docxParts,
  docxWithLinkedImage,
  docxWithZeros,
  encryptedPdf,
  paragraph,
  pdf,
  pdfStream,
  scannedPdf,
  wordTable,
} from './fixtures.ts';
import { readText } from './reader.ts';

const read = (format: Parameters<typeof readText>[0], content: string | Uint8Array) =>
  readText(format, new Uint8Array(typeof content === 'string' ? Buffer.from(content) : content));

const noText = 'contains no readable text';
const tooLong = 'has more than 2,000,000 characters of text';

describe('extracted text', () => {
  it.each(['text', 'markdown', 'csv'] as const)('of %s is unchanged', async (format) => {
    expect(await read(format, '# a_b,"c"\r\n\t1 | é 😀\n')).toBe('# a_b,"c"\r\n\t1 | é 😀\n');
  });

  it('has no byte order mark, including text from UTF-16', async () => {
    expect(await read('text', '\ufeffé 😀')).toBe('é 😀');
    expect(await read('text', Buffer.from('\ufeffé 😀', 'utf16le'))).toBe('é 😀');
    expect(await read('csv', Buffer.from('\ufeffa,é', 'utf16le').swap16())).toBe('a,é');
  });

  it('contains only characters that the database can store', async () => {
    expect(await read('text', Buffer.from('\ufeffa\ud800\0b', 'utf16le'))).toBe('a\ufffdb');
  });

  it('has no control characters or terminal colors, but keeps tabs and line ends', async () => {
    expect(await read('text', '\x1b[1;31mERROR\x1b[0m\tdisk\x07\0 full\r\n\x1b]0;title\x07$ ls\n')).toBe(
      'ERROR\tdisk full\r\n$ ls\n',
    );
    expect(await read('csv', 'a\x1b[32m,b\n')).toBe('a,b\n');
    expect(await read('json', '{"a":\x1b[33m1\x1b[0m}')).toBe('{"a":1}');
    expect(await read('html', '<p>o\x07ne \x1b[31mtwo</p>')).toBe('one two');
  });

  it('is normalized to NFC', async () => {
    expect(await read('text', 'u\u0308ber')).toBe('über');
  });

  it.each(['text', 'markdown', 'csv', 'json', 'html'] as const)('of %s is rejected when blank', async (format) => {
    await expect(read(format, '')).rejects.toThrow(noText);
    await expect(read(format, ' \n\t ')).rejects.toThrow(noText);
  });

  it('is rejected above 2,000,000 characters', async () => {
    expect(await read('text', 'x'.repeat(2_000_000))).toHaveLength(2_000_000);
    await expect(read('text', 'x'.repeat(2_000_001))).rejects.toThrow(tooLong);
    await expect(read('json', `"${'x'.repeat(2_000_000)}"`)).rejects.toThrow(tooLong);
  });

  it('of an image is rejected as missing', async () => {
    await expect(read('image', '\x89PNG')).rejects.toThrow(noText);
  });
});

describe('JSON', () => {
  it('keeps its original formatting', async () => {
    expect(await read('json', '{ "b": 1,\n "a": [1.0] }')).toBe('{ "b": 1,\n "a": [1.0] }');
    expect(await read('json', Buffer.from('\ufeff{"é":1}', 'utf16le'))).toBe('{"é":1}');
  });

  it.each(['{"a":}', '{} {}', 'plain', "{'a':1}"])('%j is rejected as invalid', async (text) => {
    await expect(read('json', text)).rejects.toThrow('is not valid JSON');
  });

  it('may be nested 200,000 levels deep', async () => {
    const nested = '['.repeat(200_000) + ']'.repeat(200_000);
    expect(await read('json', nested)).toBe(nested);
  });
});

describe('HTML', () => {
  it('becomes Markdown without invisible content', async () => {
    const page = `<!doctype html><html><head><meta charset="utf-8"><title>My page</title><style>p { top: 0 }</style>
      <script>alert("<p>script")</script><link rel="stylesheet" href="style.css"></head>
      <body><!-- comment --><noscript>turn it on</noscript><template>mould</template><iframe>frame</iframe>
      <h1>First<br>heading</h1><p>Some <b>bold</b> and <i>slanted</i> snake_case [1] &amp; more</p>
      <img src="data:image/png;base64,AAAA" alt="picture"><ul><li>one<ul><li>two</li></ul></li></ul>
      <pre><code>x = 1
  y = 2</code></pre></body></html>`;
    expect(await read('html', page)).toBe(
      [
        'My page',
        '# First heading',
        'Some **bold** and *slanted* snake_case [1] & more',
        '-   one\n    -   two',
        '```\nx = 1\n  y = 2\n```',
      ].join('\n\n'),
    );
  });

  it('keeps web links and drops other link targets', async () => {
    const links =
      '<a href="https://docs.test/a_b">one</a> <a href="#x">two</a> <a href="javascript:alert(1)">three</a>';
    expect(await read('html', `<p>${links} <a href="data:text/html,x">four</a>`)).toBe(
      '[one](https://docs.test/a_b) two three four',
    );
  });

  it('keeps data tables as Markdown tables', async () => {
    const table = `<table><caption>Prices</caption><thead><tr><th>what</th><th>how much</th></tr></thead>
      <tbody><tr><td><p>tea</p><p>green</p></td><td>1|2</td></tr><tr><td>milk</td><td></td></tr></tbody></table>after`;
    expect(await read('html', table)).toBe(
      'Prices\n\n| what | how much |\n| --- | --- |\n| tea green | 1\\|2 |\n| milk |  |\n\nafter',
    );
  });

  it('has its layout tables read block by block', async () => {
    const page = '<table><tr><td><h2>Menu</h2></td><td><table><tr><td>a</td><td>b</td></tr></table></td></tr></table>';
    expect(await read('html', page)).toBe('## Menu\n\n| a | b |\n| --- | --- |');
  });

  it('is read past stray closing tags, up to an unclosed comment', async () => {
    expect(await read('html', '<p>one</p></x-turndown></body></html><p>two</p>')).toBe('one\n\ntwo');
    expect(await read('html', 'text <!-- never closed <p>x</p>')).toBe('text');
  });

  it('is rejected when nested more than 512 levels deep', async () => {
    expect(await read('html', `${'<div>'.repeat(512)}x`)).toBe('x');
    await expect(read('html', `${'<div>'.repeat(513)}x`)).rejects.toThrow('is nested too deeply');
    await expect(read('html', `${'</b><DIV a>'.repeat(513)}x`)).rejects.toThrow('is nested too deeply');
  });

  it('may have any number of sibling elements, closed or not', async () => {
    const list = `<ul>${'<li>x'.repeat(1000)}</ul>${'<p>y'.repeat(1000)}${'<div>z</div><br>'.repeat(1000)}`;
    const text = await read('html', `<script>${'<div>'.repeat(1000)}</script><!--${'<div>'.repeat(1000)}-->${list}`);
    expect(text.replaceAll(/[^xyz]/g, '')).toBe('x'.repeat(1000) + 'y'.repeat(1000) + 'z'.repeat(1000));
  });
});

describe('PDF', () => {
  it('is read page by page', async () => {
    expect(await read('pdf', pdf(['One', 'Two']))).toBe('One\n\nTwo');
  });

  it('is read line by line', async () => {
    const lines = pdfStream('BT /F1 12 Tf 14 TL 50 700 Td (First) Tj T* (second) Tj ET');
    expect(await read('pdf', pdf(['x'], { content: lines }))).toBe('First\nsecond');
  });

  it('may begin after other bytes', async () => {
    expect(await read('pdf', Buffer.concat([Buffer.from('junk\n'), pdf(['One'])]))).toBe('One');
  });

  it('is rejected with more than 1,000 pages before any page is read', async () => {
    expect(await read('pdf', pdf(Array(1000).fill('x')))).toBe(Array(1000).fill('x').join('\n\n'));
    await expect(read('pdf', pdf(Array(1001).fill('x')))).rejects.toThrow('has more than 1,000 pages');
    const broken = pdf(Array(5000).fill('x'), { content: pdfStream('not deflated', '/Filter /FlateDecode') });
    await expect(read('pdf', broken)).rejects.toThrow('has more than 1,000 pages');
  });

  it('is rejected when it requires a password', async () => {
    await expect(read('pdf', encryptedPdf())).rejects.toThrow('is encrypted');
  });

  it('is rejected without text, and the reason mentions scanned pages', async () => {
    await expect(read('pdf', pdf(['', '']))).rejects.toThrow(noText);
    await expect(read('pdf', scannedPdf())).rejects.toThrow(/^contains no readable text: its pages are scanned images/);
  });

  it('is rejected when it is damaged', async () => {
    await expect(read('pdf', '%PDF-1.7 and nothing more')).rejects.toThrow();
    await expect(read('pdf', pdf(['One']).subarray(0, 100))).rejects.toThrow();
  });
});

describe('DOCX', () => {
  it('becomes Markdown', async () => {
    const body = [
      paragraph('Report', 'Title'),
      paragraph('Part one', 'Heading1'),
      paragraph('A snake_case [1] &amp; *'),
      wordTable([
        ['what', 'how much'],
        ['tea', '1|2'],
      ]),
    ];
    expect(await read('docx', docx(body.join('')))).toBe(
      '# Report\n\n# Part one\n\nA snake_case [1] & *\n\n| what | how much |\n| --- | --- |\n| tea | 1\\|2 |',
    );
  });

  it('is rejected without text', async () => {
    await expect(read('docx', docx(''))).rejects.toThrow(noText);
  });

  it.each([
    ['no archive', Buffer.from('PK\x03\x04 and nothing more')],
    ['half an archive', docx(paragraph('x')).subarray(0, 400)],
    ['an archive of something else', zipSync({ 'a.txt': Buffer.from('x') })],
    ['a document that is no XML', docx('<w:p>')],
  ])('is rejected when it is %s', async (_name, bytes) => {
    await expect(read('docx', bytes)).rejects.toThrow();
  });

  it('is rejected with more than 2,000 parts', async () => {
    const parts = docxParts(paragraph('text'));
    const fill = (count: number) =>
      zipSync({
        ...Object.fromEntries(Array.from({ length: count }, (_, at) => [`${at}`, new Uint8Array()])),
        ...parts,
      });
    const free = 2000 - Object.keys(parts).length;
    expect(await read('docx', fill(free))).toBe('text');
    await expect(read('docx', fill(free + 1))).rejects.toThrow('has more than 2,000 parts');
  });

  it('unpacks at most 100 MB, and only the parts that it reads', async () => {
    await expect(read('docx', docxWithZeros('word/theme.xml', 96))).rejects.toThrow('is too large when unpacked');
    expect(await read('docx', docxWithZeros('word/theme.xml', 95))).toBe('text');
    expect(await read('docx', docxWithZeros('word/media/picture.png', 200))).toBe('text');
  });

  it('is rejected when a part unpacks to more than its declared size', async () => {
    const long = paragraph(`begin ${'x'.repeat(1_000_000)} end`);
    expect(await read('docx', docx(long))).toMatch(/^begin x+ end$/);
    await expect(read('docx', declareSize(docx(long), 'word/document.xml', 1000))).rejects.toThrow();
    await expect(read('docx', docxWithZeros('word/document.xml', 200, 1000))).rejects.toThrow();
  });
});

describe('external references and XML entities in a file', () => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.end('fetched');
  });
  let base = '';

  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => new Promise((resolve) => server.close(resolve)));

  it('are not fetched', async () => {
    expect(await (await fetch(`${base}/control`)).text()).toBe('fetched');

    expect(await read('docx', docxWithLinkedImage(`${base}/docx`))).toBe('Beside a picture');
    expect(await read('docx', docxWithLinkedImage('file:///etc/passwd'))).toBe('Beside a picture');
    const page = `<link rel="stylesheet" href="${base}/css"><base href="${base}/"><script src="${base}/js"></script>
      <img src="${base}/img"><iframe src="${base}/frame"></iframe><object data="${base}/object"></object>text`;
    expect(await read('html', page)).toBe('text');
    const remote = pdfStream('', `/F << /FS /URL /F (${base}/pdf) >>`);
    await expect(read('pdf', pdf(['x'], { content: remote }))).rejects.toThrow(noText);

    expect(asked).toEqual(['/control']);
  });

  it('are rejected when a DOCX declares them in its document type', async () => {
    const withDoctype = (doctype: string) => zipSync(docxParts(paragraph('a &x; b'), doctype));
    const external = (url: string) => withDoctype(`<!DOCTYPE x [<!ENTITY x SYSTEM "${url}">]>`);
    await expect(read('docx', external(`${base}/entity`))).rejects.toThrow();
    await expect(read('docx', external('file:///etc/passwd'))).rejects.toThrow();
    const laughs = Array.from({ length: 9 }, (_, at) => `<!ENTITY l${at + 1} "${`&l${at};`.repeat(10)}">`).join('');
    await expect(
      read('docx', withDoctype(`<!DOCTYPE x [<!ENTITY l0 "ha">${laughs}<!ENTITY x "&l9;">]>`)),
    ).rejects.toThrow();
    expect(asked).not.toContain('/entity');
  });
});
