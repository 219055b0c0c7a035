import { strToU8, unzipSync, zipSync } from 'fflate';
import iconv from 'iconv-lite';
import { describe, expect, it } from 'vitest';
import { declareSize, deflatedZeros } from './fixtures.ts';
import { type Format, kindOf } from './kinds.ts';
import { drawn, epub, odf, pptx, relationsPart, shape, xlsx, xmlPart } from './office-fixtures.ts';
import { readText } from './reader.ts';

/** Returns the text extracted from a file with this name and content, as for an upload. */
async function read(name: string, bytes: Uint8Array): Promise<string> {
  const type = kindOf(name, bytes);
  if ('unsupported' in type) throw new Error(type.unsupported);
  return readText(type.format, new Uint8Array(bytes));
}

const blocks = (...texts: string[]) => texts.join('\n\n');

describe('XLSX', () => {
  const cell = (reference: string, value: string, more = '') =>
    `<x:c r="${reference}"${more}><x:v>${value}</x:v></x:c>`;
  const row = (...cells: string[]) => `<x:row>${cells.join('')}</x:row>`;
  const inline = (reference: string, text: string) =>
    `<x:c r="${reference}" t="inlineStr"><x:is><x:t>${text}</x:t></x:is></x:c>`;
  const one = (rows: string) => [{ name: 'One', rows }];

  it('formats values as the workbook displays them', async () => {
    const styles = `<x:numFmts><x:numFmt numFmtId="164" formatCode="#,##0.00 &quot;€&quot;"/></x:numFmts><x:cellXfs><x:xf numFmtId="0"/><x:xf numFmtId="164"/><x:xf numFmtId="10"/><x:xf numFmtId="14"/></x:cellXfs>`;
    const shared =
      '<x:si><x:t>tea</x:t></x:si><x:si><x:r><x:t>rich </x:t></x:r><x:r><x:t>text</x:t></x:r><x:rPh><x:t>reading</x:t></x:rPh></x:si>';
    const rows =
      row(cell('A1', '0', ' t="s"'), cell('B1', '1', ' t="s"'), inline('C1', 'a|b')) +
      row(cell('A2', '1234.5', ' s="1"'), cell('B2', '0.125', ' s="2"'), cell('C2', '45356', ' s="3"')) +
      row(cell('A3', '1', ' t="b"'), cell('B3', '#REF!', ' t="e"'), cell('C3', 'sum', ' t="str"'));
    expect(await read('a.xlsx', xlsx(one(rows), { shared, styles }))).toBe(
      '| tea | rich text | a\\|b |\n| --- | --- | --- |\n| 1,234.50 € | 12.50% | 3/5/2024 |\n| TRUE | #REF! | sum |',
    );
  });

  it('counts days from 1904 when the workbook does', async () => {
    const styles = '<x:cellXfs><x:xf numFmtId="14"/></x:cellXfs>';
    const properties = '<x:workbookPr date1904="1"/>';
    expect(await read('a.xlsx', xlsx(one(row(cell('A1', '43894', ' s="0"'))), { styles, properties }))).toContain(
      '3/5/2024',
    );
  });

  it('contains sheet names and columns in order, without hidden sheets and empty columns', async () => {
    const text = await read(
      'a.xlsx',
      xlsx([
        { name: 'First', rows: row(inline('B1', 'b'), inline('XFD1', 'far')) + row(inline('A2', 'a')) },
        { name: 'Secret', rows: row(inline('A1', 'hidden')), state: 'hidden' },
        { name: 'Empty', rows: '' },
      ]),
    );
    expect(text).toBe('## First\n\n|  | b | far |\n| --- | --- | --- |\n| a |  |  |');
  });

  it('contains notes, comments, text boxes and charts after the cells', async () => {
    const more = {
      'xl/comments1.xml': xmlPart(
        'x:comments',
        '<x:commentList><x:comment ref="A1"><x:text><x:r><x:t>Check</x:t></x:r></x:text></x:comment></x:commentList>',
      ),
      'xl/threads.xml': strToU8(
        '<ThreadedComments xmlns="urn:t"><threadedComment ref="A2"><text>Why?</text></threadedComment></ThreadedComments>',
      ),
      'xl/drawings/drawing1.xml': xmlPart('a:drawing', drawn('Boxed')),
      'xl/drawings/_rels/drawing1.xml.rels': relationsPart({ c: ['chart', '../charts/chart1.xml'] }),
      'xl/charts/chart1.xml': xmlPart('c:chartSpace', `<c:chart><c:title>${drawn('Growth')}</c:title></c:chart>`),
    };
    const links = {
      c: ['comments', '../comments1.xml'],
      t: ['threadedComment', '../threads.xml'],
      d: ['drawing', '../drawings/drawing1.xml'],
    } as const;
    const sheets = [{ name: 'One', rows: row(inline('A1', 'x')), links: { ...links } as never }];
    expect(await read('a.xlsx', xlsx(sheets, { more }))).toBe(
      blocks('| x |\n| --- |', 'Note on A1: Check', 'Comment on A2: Why?', 'Boxed', 'Growth'),
    );
  });

  it('is rejected above 2,000,000 characters, even when repeated strings or sparse cells cause them', async () => {
    const shared = `<x:si><x:t>${'x'.repeat(100_000)}</x:t></x:si>`;
    const rows = Array.from({ length: 30 }, (_, at) => row(cell(`A${at + 1}`, '0', ' t="s"'))).join('');
    await expect(read('a.xlsx', xlsx(one(rows), { shared }))).rejects.toThrow('has more than 2,000,000 characters');
    const diagonal = Array.from({ length: 3000 }, (_, at) => {
      const letters = String.fromCharCode(
        65 + (Math.floor(at / 676) % 26),
        65 + (Math.floor(at / 26) % 26),
        65 + (at % 26),
      );
      return row(inline(`${letters}${at + 1}`, 'x'));
    });
    await expect(read('a.xlsx', xlsx(one(diagonal.join(''))))).rejects.toThrow('has more than 2,000,000 characters');
  });
});

describe('PPTX', () => {
  it('is read slide by slide', async () => {
    const numbered = '<a:pPr><a:buAutoNum type="arabicPeriod"/></a:pPr>';
    const slides = [
      shape(
        drawn('Body text', '<a:pPr><a:buNone/></a:pPr>') +
          drawn('deeper', '<a:pPr lvl="1"/>') +
          drawn('one', numbered) +
          drawn('two', numbered),
        'body',
      ) +
        shape(drawn('Welcome'), 'ctrTitle') +
        shape(drawn('3'), 'sldNum') +
        shape(drawn('Example Inc.'), 'ftr'),
      `<p:grpSp>${shape(drawn('Grouped'))}</p:grpSp><p:graphicFrame><a:graphic><a:graphicData><a:tbl><a:tr><a:tc><a:txBody>${drawn('a')}</a:txBody></a:tc><a:tc><a:txBody>${drawn('b')}</a:txBody></a:tc></a:tr></a:tbl></a:graphicData></a:graphic></p:graphicFrame>` +
        shape(drawn('Example Inc.'), 'ftr'),
    ];
    const more = {
      'ppt/notesSlides/notes.xml': xmlPart(
        'p:notes',
        `<p:cSld><p:spTree>${shape(drawn('Say hello'), 'body')}</p:spTree></p:cSld>`,
      ),
    };
    const links = { 0: { n: ['notesSlide', '../notesSlides/notes.xml'] as [string, string] } };
    expect(await read('a.pptx', pptx(slides, { links, more }))).toBe(
      blocks(
        ...['## Welcome', 'Body text', '  - deeper\n1. one\n2. two', 'Notes: Say hello'],
        ...['Grouped', '| a | b |\n| --- | --- |', 'Example Inc.'],
      ),
    );
  });
});

describe('OpenDocument', () => {
  const p = (text: string) => `<text:p>${text}</text:p>`;
  const cell = (text: string, more = '') => `<table:table-cell${more}>${p(text)}</table:table-cell>`;
  const row = (...cells: string[]) => `<table:table-row>${cells.join('')}</table:table-row>`;

  it('texts contain headings, numbered lists, notes, comments, text boxes, headers and footers', async () => {
    const automatic = `<text:list-style style:name="L1"><text:list-level-style-number text:level="1" style:num-format="1" style:num-suffix="."/><text:list-level-style-number text:level="2" style:num-format="a" style:num-suffix=")" text:display-levels="2"/></text:list-style>`;
    const masters = `<style:master-page><style:header>${p('Running head')}</style:header><style:footer>${p('Page 1')}</style:footer></style:master-page>`;
    const item = (text: string, inner = '') => `<text:list-item>${p(text)}${inner}</text:list-item>`;
    const body = [
      `<text:tracked-changes>${p('deleted')}</text:tracked-changes>`,
      '<text:h text:outline-level="2">Chapter</text:h>',
      `<text:list text:style-name="L1">${item('one', `<text:list>${item('deep')}</text:list>`)}${item('two')}</text:list>`,
      p('between'),
      `<text:list text:style-name="L1" text:continue-numbering="true">${item('three')}</text:list>`,
      p(`a<text:s text:c="2"/>b<text:tab/>c<text:line-break/>d <text:a xlink:href="https://x.test/">link</text:a>`),
      p(
        `noted<text:note><text:note-citation>1</text:note-citation><text:note-body>${p('A note')}</text:note-body></text:note>`,
      ),
      p(`said<office:annotation><dc:creator>Anna</dc:creator>${p('Really?')}</office:annotation>`),
      p(`<draw:frame><draw:text-box>${p('Boxed')}</draw:text-box></draw:frame>around`),
      `<text:section><table:table>${row(cell('a'), cell('b'))}${row(cell('c'), cell('d'))}</table:table></text:section>`,
    ].join('');
    expect(await read('a.odt', odf('text', body, { automatic, masters }))).toBe(
      blocks(
        ...['Running head', '## Chapter', '1. one\n  1.a) deep\n2. two', 'between', '3. three'],
        ...['a  b\tc\nd [link](https://x.test/)', 'noted[^1]', 'said', 'around', 'Boxed'],
        ...['| a | b |\n| --- | --- |\n| c | d |', '[^1]: A note', 'Comment by Anna: Really?', 'Page 1'],
      ),
    );
  });

  it('spreadsheets contain their sheets without the empty rows at the end', async () => {
    const end =
      '<table:table-row table:number-rows-repeated="1048000"><table:table-cell table:number-columns-repeated="16384"/></table:table-row>';
    const sheet = (name: string, rows: string) => `<table:table table:name="${name}">${rows}${end}</table:table>`;
    const body =
      sheet(
        'Prices',
        row(cell('tea'), '<table:table-cell/>', cell('5 €')) + row(cell('x', ' table:number-columns-repeated="3"')),
      ) + sheet('More', row(cell('y')));
    expect(await read('a.ods', odf('spreadsheet', body))).toBe(
      blocks('## Prices', '| tea |  | 5 € |\n| --- | --- | --- |\n| x | x | x |', '## More', '| y |\n| --- |'),
    );
  });

  it('presentations contain their slides with charts and notes', async () => {
    const chart = xmlPart(
      'office:document-content',
      `<office:body><office:chart><chart:chart><chart:title>${p('Growth')}</chart:title><table:table>${row(cell('2024'), cell('7'))}</table:table></chart:chart></office:chart></office:body>`,
    );
    const frame = (content: string, kind: string) => `<draw:frame presentation:class="${kind}">${content}</draw:frame>`;
    const body = `<draw:page draw:name="page1">${frame(`<draw:text-box>${p('point')}</draw:text-box>`, 'outline')}${frame(`<draw:text-box>${p('Title')}</draw:text-box>`, 'title')}${frame('<draw:object xlink:href="./Object 1"/>', 'chart')}${frame(`<draw:text-box>${p('7')}</draw:text-box>`, 'page-number')}<presentation:notes>${frame(`<draw:text-box>${p('Say it')}</draw:text-box>`, 'notes')}</presentation:notes></draw:page>`;
    expect(await read('a.odp', odf('presentation', body, { more: { 'Object 1/content.xml': chart } }))).toBe(
      blocks('## Title', 'point', 'Growth', '| 2024 | 7 |\n| --- | --- |', 'Notes: Say it'),
    );
  });

  it('is rejected when it is encrypted', async () => {
    const more = {
      'META-INF/manifest.xml': xmlPart(
        'manifest:manifest',
        '<manifest:file-entry><manifest:encryption-data/></manifest:file-entry>',
      ),
    };
    await expect(read('a.odt', odf('text', p('x'), { more }))).rejects.toThrow('is encrypted');
  });
});

describe('EPUB', () => {
  const page = (body: string) =>
    `<html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head><body>${body}</body></html>`;

  it('is read in the order of its spine', async () => {
    const pages = {
      'two.xhtml': page('<h1>Two</h1><script/><p>Last<br/>page</p>'),
      'text/öne page.xhtml': page('<p>One</p>'),
    };
    expect(await read('a.epub', epub('My book', pages))).toBe(blocks('# My book', '# Two', 'Last  \npage', 'One'));
  });

  it('is rejected when its text is encrypted, but not when only its fonts are', async () => {
    const encrypted = (algorithm: string) => ({
      'META-INF/encryption.xml': strToU8(
        `<encryption xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:EncryptedData><enc:EncryptionMethod Algorithm="${algorithm}"/></enc:EncryptedData></encryption>`,
      ),
    });
    const pages = { 'a.xhtml': page('<p>text</p>') };
    expect(await read('a.epub', epub('B', pages, encrypted('http://www.idpf.org/2008/embedding')))).toContain('text');
    await expect(
      read('a.epub', epub('B', pages, encrypted('http://www.w3.org/2001/04/xmlenc#aes128-cbc'))),
    ).rejects.toThrow('is encrypted');
  });
});

describe('e-mail', () => {
  const message = (headers: string[], body: string) => Buffer.from([...headers, '', body].join('\r\n'), 'latin1');

  it('contains its headers, its text and the names of its attachments', async () => {
    const part = (...lines: string[]) => `${lines.join('\r\n')}\r\n`;
    const plain = ['Content-Type: text/plain; charset=windows-1252', 'Content-Transfer-Encoding: quoted-printable'];
    const body = [
      part('--b', 'Content-Type: multipart/alternative; boundary=a', ''),
      part('--a', ...plain, '', 'Gr=FC=DFe =96 5 =80'),
      part('--a', 'Content-Type: text/html', '', '<p>HTML</p>', '--a--'),
      part(
        '--b',
        'Content-Type: application/pdf',
        'Content-Disposition: attachment; filename="a.pdf"',
        '',
        'x',
        '--b--',
      ),
    ].join('');
    const headers = [
      ...[
        'From: =?utf-8?Q?J=C3=BCrgen?= <j@a.test>',
        'To: b@a.test, Eva <e@a.test>',
        'Date: Tue, 05 Mar 2024 10:00:00 +0000',
      ],
      ...['Subject: =?iso-8859-1?Q?Geb=FChr?=', 'MIME-Version: 1.0', 'Content-Type: multipart/mixed; boundary=b'],
    ];
    expect(await read('a.eml', message(headers, body))).toBe(
      blocks(
        '# Gebühr',
        'From: Jürgen <j@a.test>\nTo: b@a.test, Eva <e@a.test>\nDate: 2024-03-05T10:00:00.000Z',
        'Grüße – 5 €',
        'Attachments: a.pdf',
      ),
    );
  });

  it('with only an HTML body is read as a page', async () => {
    const headers = ['Subject: Page', 'Content-Type: text/html; charset=gb2312'];
    const body = iconv.encode('<p>费用</p><ul><li>one</li></ul>', 'gbk').toString('latin1');
    expect(await read('a.eml', message(headers, body))).toBe(blocks('# Page', '费用', '-   one'));
  });

  it('is rejected without headers', async () => {
    await expect(read('a.eml', Buffer.from('no message'))).rejects.toThrow('is not an e-mail message');
  });
});

describe('RTF', () => {
  const rtf = (content: string) => Buffer.from(`{\\rtf1\\ansi\\ansicpg1252\\deff0${content}}`, 'latin1');
  const fonts =
    '{\\fonttbl{\\f0\\fswiss\\fcharset0 Arial;}{\\f1\\fcharset204 Arial Cyr;}{\\f2\\fcharset128 MS Mincho;}{\\f3\\ftech\\fcharset2 Wingdings;}}';

  it.each([
    [
      'letters of all code pages',
      `${fonts}\\f0 Gr\\'fc\\'dfe \\'80\\f1  \\'c4\\'e0\\f2  \\'97\\'bf\\'8b\\'e0 \\u26009?\\u-10179?\\u-8704?`,
      'Grüße € Да 料金 料😀',
    ],
    ['raw bytes', 'Gr\xfc\xdfe', 'Grüße'],
    ['characters of fonts of pictures', `${fonts}{\\f3 \\'fc} {\\f3\\u-3844?}`, '✓ ✓'],
    ['marks', '\\ldblquote a\\rdblquote\\emdash b\\~c\\_d\\-e \\{\\}\\\\', '“a”—b c-de {}\\'],
    ['paragraphs, lines and tabs', 'a\\line b\\par\\pard c\\tab d\\par', 'a\nb\n\nc\td'],
    [
      'headings and lists',
      '\\pard\\outlinelevel1 Head\\par\\pard{\\listtext\\pard 1.\\tab}one\\par{\\listtext\\pard 2.\\tab}two\\par{\\pntext\\bullet\\tab}dot\\par',
      '## Head\n\n1. one\n2. two\n- dot',
    ],
    ['no hidden and no deleted text', 'seen{\\v  hidden}{\\deleted  gone}\\v off\\v0 .', 'seen.'],
    ['the results of fields', '{\\field{\\*\\fldinst HYPERLINK "x"}{\\fldrslt link}}', 'link'],
    [
      'what may be ignored, and what others ignore',
      '{\\*\\generator x;}{\\info{\\title T}}{\\upr{old}{\\*\\ud{new}}}{\\*\\unknown y}',
      'new',
    ],
    ['text boxes, once', 'a{\\shp{\\*\\shpinst{\\sp{\\sn x}{\\sv y}}{\\shptxt boxed}}{\\shprslt boxed}}', 'aboxed'],
    ['pictures', '{\\pict\\bin4 {}{}after}end', 'end'],
    [
      'tables',
      '\\trowd\\pard\\intbl a\\cell b\\cell\\row\\pard\\intbl c\\par d\\cell e\\cell\\row\\pard after\\par',
      '| a | b |\n| --- | --- |\n| c d | e |\n\nafter',
    ],
    [
      'notes, comments and margins',
      '{\\header Head\\par}text{\\footnote A note}{\\*\\annotation A comment}\\par{\\footer Foot}',
      'Head\n\ntext[^1]\n\n[^1]: A note\n\nComment: A comment\n\nFoot',
    ],
    ['an end that comes early', 'text{\\b bold', 'textbold'],
  ])('reads %s', async (_what, content, text) => expect(await read('a.rtf', rtf(content))).toBe(text));

  it('is detected under any text file name, and plain text named .rtf is rejected', async () => {
    for (const name of ['a.doc', 'a.txt', 'a']) expect(await read(name, rtf('text'))).toBe('text');
    await expect(read('a.rtf', Buffer.from('plain'))).rejects.toThrow('is not an RTF document');
  });

  it('is rejected when nested more than 1,000 levels deep', async () => {
    await expect(read('a.rtf', rtf('{'.repeat(1001)))).rejects.toThrow('is nested too deeply');
  });
});

describe('every archive format', () => {
  const wellFormed: [name: string, part: string, bytes: Uint8Array][] = [
    [
      'a.xlsx',
      'xl/worksheets/sheet0.xml',
      xlsx([{ name: 'S', rows: '<x:row><x:c r="A1" t="str"><x:v>text</x:v></x:c></x:row>' }]),
    ],
    ['a.pptx', 'ppt/slides/slide0.xml', pptx([shape(drawn('text'))])],
    ['a.odt', 'content.xml', odf('text', '<text:p>text</text:p>')],
    ['a.epub', 'OEBPS/book.opf', epub('text', {})],
  ];

  it.each(wellFormed)('%s is read', async (name, _part, bytes) => expect(await read(name, bytes)).toContain('text'));

  it.each(wellFormed)(
    '%s is rejected when it is not an archive, is truncated, or contains another format',
    async (name, _part, bytes) => {
      await expect(read(name, Buffer.from('PK\x03\x04 and nothing more'))).rejects.toThrow();
      await expect(read(name, bytes.subarray(0, bytes.length / 2))).rejects.toThrow();
      await expect(read(name, zipSync({ 'a.txt': strToU8('x') }))).rejects.toThrow();
      await expect(read(name, strToU8('text'))).rejects.toThrow('is not a');
    },
  );

  it.each(wellFormed)(
    '%s is rejected when its parts are too large or exceed their declared size',
    async (name, part, bytes) => {
      const bomb = (size: number) =>
        declareSize(
          zipSync({ ...unzipSync(bytes), [part]: [deflatedZeros(200).subarray(2), { level: 0 }] }),
          part,
          size,
        );
      await expect(read(name, bomb(200 * 1024 * 1024))).rejects.toThrow('is too large when unpacked');
      await expect(read(name, bomb(1000))).rejects.toThrow();
    },
  );

  it.each(wellFormed)('%s is rejected with more than 2,000 parts', async (name, _part, bytes) => {
    const many = Object.fromEntries(Array.from({ length: 2001 }, (_, at) => [String(at), new Uint8Array()]));
    await expect(read(name, zipSync({ ...many, ...unzipSync(bytes) }))).rejects.toThrow('has more than 2,000 parts');
  });

  it.each(wellFormed)('%s is rejected when its XML declares nested entities', async (name, part, bytes) => {
    const laughs = Array.from({ length: 9 }, (_, at) => `<!ENTITY l${at + 1} "${`&l${at};`.repeat(10)}">`).join('');
    const parts = unzipSync(bytes);
    const source = Buffer.from(parts[part] as Uint8Array).toString();
    const root = /<(?!\?)/.exec(source)?.index ?? 0;
    const doctype = `<!DOCTYPE x [<!ENTITY l0 "ha">${laughs}]>`;
    const bomb = strToU8(`${source.slice(0, root)}${doctype}${source.slice(root).replace('text', '&l9;')}`);
    await expect(read(name, zipSync({ ...parts, [part]: bomb }))).rejects.toThrow();
  });

  it.each(['xlsx', 'pptx', 'odf'] as Format[])(
    '%s is rejected when its XML is nested more than 1,000 levels deep',
    async (format) => {
      const deep = (name: string) => `${`<${name}>`.repeat(1001)}${`</${name}>`.repeat(1001)}`;
      const files = {
        xlsx: xlsx([{ name: 'S', rows: deep('x:row') }]),
        pptx: pptx([deep('p:grpSp')]),
        odf: odf('text', deep('text:section')),
      };
      await expect(readText(format, files[format as keyof typeof files])).rejects.toThrow('is nested too deeply');
    },
  );
});
