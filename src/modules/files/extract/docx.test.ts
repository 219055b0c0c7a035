import { strToU8, zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { textOfDocx } from './docx.ts';
import { docxParts, paragraph, wordTable } from './fixtures.ts';

const relationships = 'http://schemas.openxmlformats.org/package/2006/relationships';
const officeDocument = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships';
const namespaces = [
  ['w', 'http://schemas.openxmlformats.org/wordprocessingml/2006/main'],
  ['r', officeDocument],
  ['a', 'http://schemas.openxmlformats.org/drawingml/2006/main'],
  ['c', 'http://schemas.openxmlformats.org/drawingml/2006/chart'],
  ['dgm', 'http://schemas.openxmlformats.org/drawingml/2006/diagram'],
  ['m', 'http://schemas.openxmlformats.org/officeDocument/2006/math'],
  ['mc', 'http://schemas.openxmlformats.org/markup-compatibility/2006'],
  ['wps', 'http://schemas.microsoft.com/office/word/2010/wordprocessingShape'],
  ['wp', 'http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing'],
  ['v', 'urn:schemas-microsoft-com:vml'],
]
  .map(([prefix, uri]) => `xmlns:${prefix}="${uri}"`)
  .join(' ');

/** Returns a document part whose root element has this name and content. */
const part = (name: string, content: string) => strToU8(`<${name} ${namespaces}>${content}</${name}>`);

interface Options {
  /** Additional parts in the folder word/, by name. */
  parts?: Record<string, Uint8Array>;
  /** Relations of the document: type and target by ID. */
  relations?: Record<string, [type: string, target: string]>;
}

/** Returns the text that is extracted from a document with this body. */
function read(body: string, { parts = {}, relations = {} }: Options = {}): string {
  const links = Object.entries(relations).map(
    ([id, [type, target]]) =>
      `<Relationship Id="${id}" Type="${officeDocument}/${type}" Target="${target}"${/^https?:/.test(target) ? ' TargetMode="External"' : ''}/>`,
  );
  return textOfDocx(
    zipSync({
      ...docxParts(''),
      'word/document.xml': part('w:document', `<w:body>${body}</w:body>`),
      'word/_rels/document.xml.rels': strToU8(
        `<Relationships xmlns="${relationships}">${links.join('')}</Relationships>`,
      ),
      ...Object.fromEntries(Object.entries(parts).map(([name, bytes]) => [`word/${name}`, bytes])),
    }),
  );
}

const run = (text: string, properties = '') =>
  `<w:r><w:rPr>${properties}</w:rPr><w:t xml:space="preserve">${text}</w:t></w:r>`;
const p = (...content: string[]) => `<w:p>${content.join('')}</w:p>`;
const numbered = (level: number, numId: number, text: string) =>
  p(`<w:pPr><w:numPr><w:ilvl w:val="${level}"/><w:numId w:val="${numId}"/></w:numPr></w:pPr>`, run(text));

describe('DOCX headers and footers', () => {
  const section = (references: string, more = '') => `<w:sectPr>${references}${more}</w:sectPr>`;
  const relations: Options['relations'] = {
    h1: ['header', 'header1.xml'],
    h2: ['header', 'header2.xml'],
    f1: ['footer', 'footer1.xml'],
  };
  const parts = {
    'header1.xml': part('w:hdr', paragraph('Running header')),
    'header2.xml': part('w:hdr', paragraph('Special header')),
    'footer1.xml': part(
      'w:ftr',
      p(run('Confidential, page '), '<w:fldSimple w:instr="PAGE">', run('1'), '</w:fldSimple>'),
    ),
  };
  const references = (second: string) =>
    `<w:headerReference w:type="default" r:id="h1"/><w:headerReference w:type="${second}" r:id="h2"/><w:footerReference w:type="default" r:id="f1"/>`;

  it('are read once even when several sections use them', () => {
    const body =
      p(`<w:pPr>${section(references('first'))}</w:pPr>`, run('One')) + paragraph('Two') + section(references('first'));
    expect(read(body, { parts, relations })).toBe('Running header\n\nOne\n\nTwo\n\nConfidential, page 1');
  });

  it('of first and even pages are read only when the document enables such pages', () => {
    const titled = paragraph('One') + section(references('first'), '<w:titlePg/>');
    expect(read(titled, { parts, relations })).toContain('Special header');
    const even = paragraph('One') + section(references('even'));
    expect(read(even, { parts, relations })).not.toContain('Special header');
    const settings = { 'settings.xml': part('w:settings', '<w:evenAndOddHeaders/>') };
    expect(read(even, { parts: { ...parts, ...settings }, relations })).toContain('Special header');
  });
});

describe('DOCX notes and comments', () => {
  const parts = {
    'footnotes.xml': part(
      'w:footnotes',
      `<w:footnote w:id="-1">${paragraph('separator')}</w:footnote><w:footnote w:id="2">${paragraph('A foot note')}</w:footnote>`,
    ),
    'endnotes.xml': part('w:endnotes', `<w:endnote w:id="2">${paragraph('An end note')}</w:endnote>`),
    'comments.xml': part('w:comments', `<w:comment w:id="0" w:author="Anna">${paragraph('Is that so?')}</w:comment>`),
  };

  it('follow the section that refers to them', () => {
    const body =
      p(
        run('Said'),
        '<w:r><w:footnoteReference w:id="2"/></w:r>',
        run(' and shown'),
        '<w:r><w:endnoteReference w:id="2"/></w:r>',
      ) +
      p(
        '<w:commentRangeStart w:id="0"/>',
        run('Doubtful'),
        '<w:commentRangeEnd w:id="0"/><w:r><w:commentReference w:id="0"/></w:r>',
      ) +
      paragraph('Next', 'Heading1') +
      p(run('Again'), '<w:r><w:footnoteReference w:id="2"/></w:r>');
    expect(read(body, { parts })).toBe(
      [
        ...['Said[^1] and shown[^2]', 'Doubtful', '[^1]: A foot note', '[^2]: An end note'],
        ...['Comment by Anna: Is that so?', '# Next', 'Again[^1]'],
      ].join('\n\n'),
    );
  });

  it('keep a custom reference mark', () => {
    const body = p(run('Said'), '<w:r><w:footnoteReference w:customMarkFollows="1" w:id="2"/><w:t>*</w:t></w:r>');
    expect(read(body, { parts })).toBe('Said*\n\n[^1]: A foot note');
  });
});

describe('DOCX text boxes', () => {
  const box = (text: string) => `<w:txbxContent>${paragraph(text)}${wordTable([['a', 'b']])}</w:txbxContent>`;
  const shape = (text: string) =>
    `<w:drawing><wp:anchor><wp:positionH><wp:posOffset>12345</wp:posOffset></wp:positionH><a:graphic><a:graphicData><wps:wsp><wps:txbx>${box(text)}</wps:txbx></wps:wsp></a:graphicData></a:graphic></wp:anchor></w:drawing>`;
  const vml = (text: string) => `<w:pict><v:shape><v:textbox>${box(text)}</v:textbox></v:shape></w:pict>`;

  it('are read once in DrawingML, in VML, and when a document contains both', () => {
    const both = `<mc:AlternateContent><mc:Choice Requires="wps">${shape('Boxed')}</mc:Choice><mc:Fallback>${vml('Boxed')}</mc:Fallback></mc:AlternateContent>`;
    for (const drawn of [both, shape('Boxed'), vml('Boxed')])
      expect(read(p(run('Around'), `<w:r>${drawn}</w:r>`) + paragraph('After'))).toBe(
        'Around\n\nBoxed\n\n| a | b |\n| --- | --- |\n\nAfter',
      );
  });

  it('are read from the fallback when the choice contains no text', () => {
    const empty = '<mc:Choice Requires="x"><w:drawing><wp:posOffset>1</wp:posOffset></w:drawing></mc:Choice>';
    const drawn = `<mc:AlternateContent>${empty}<mc:Fallback>${vml('Old')}</mc:Fallback></mc:AlternateContent>`;
    expect(read(p(`<w:r>${drawn}</w:r>`))).toContain('Old');
  });

  it('of WordArt contribute their text', () => {
    expect(read(p('<w:r><w:pict><v:shape><v:textpath string="DRAFT"/></v:shape></w:pict></w:r>'))).toBe('DRAFT');
  });

  it('in a table cell are read', () => {
    const cell = `<w:tc>${p(run('cell '), `<w:r>${shape('Boxed')}</w:r>`)}</w:tc>`;
    expect(read(`<w:tbl><w:tr>${cell}<w:tc>${paragraph('x')}</w:tc></w:tr></w:tbl>`)).toContain('Boxed');
  });
});

describe('DOCX lists', () => {
  const level = (at: number, format: string, text: string, more = '') =>
    `<w:lvl w:ilvl="${at}"><w:start w:val="1"/>${more}<w:numFmt w:val="${format}"/><w:lvlText w:val="${text}"/></w:lvl>`;
  const parts = {
    'numbering.xml': part(
      'w:numbering',
      [
        `<w:abstractNum w:abstractNumId="0">${level(0, 'decimal', '%1.')}${level(1, 'decimal', '%1.%2')}${level(2, 'lowerLetter', '%3)')}</w:abstractNum>`,
        `<w:abstractNum w:abstractNumId="1">${level(0, 'bullet', '\uf0b7')}${level(1, 'bullet', 'o')}</w:abstractNum>`,
        `<w:abstractNum w:abstractNumId="2">${level(0, 'upperRoman', 'Article %1')}${level(1, 'decimal', '%1.%2', '<w:isLgl/>')}</w:abstractNum>`,
        '<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num>',
        '<w:num w:numId="2"><w:abstractNumId w:val="1"/></w:num>',
        '<w:num w:numId="3"><w:abstractNumId w:val="0"/><w:lvlOverride w:ilvl="0"><w:startOverride w:val="5"/></w:lvlOverride></w:num>',
        '<w:num w:numId="4"><w:abstractNumId w:val="2"/></w:num>',
      ].join(''),
    ),
    'styles.xml': part(
      'w:styles',
      [
        '<w:style w:type="paragraph" w:styleId="Clause"><w:name w:val="heading 2"/><w:pPr><w:numPr><w:ilvl w:val="1"/><w:numId w:val="4"/></w:numPr></w:pPr></w:style>',
        '<w:style w:type="paragraph" w:styleId="Part"><w:name w:val="Part"/><w:basedOn w:val="Base"/><w:pPr><w:numPr><w:numId w:val="4"/></w:numPr></w:pPr></w:style>',
        '<w:style w:type="paragraph" w:styleId="Base"><w:name w:val="Base"/><w:pPr><w:outlineLvl w:val="0"/></w:pPr></w:style>',
      ].join(''),
    ),
  };

  it('have the numbers that Word shows', () => {
    const body = [
      ...[numbered(0, 1, 'one'), numbered(1, 1, 'one one'), numbered(1, 1, 'one two'), numbered(2, 1, 'deep')],
      ...[
        paragraph('between'),
        numbered(0, 1, 'two'),
        numbered(1, 1, 'two one'),
        numbered(0, 3, 'five'),
        numbered(0, 3, 'six'),
      ],
      ...[numbered(0, 2, 'dot'), numbered(1, 2, 'circle'), numbered(0, 0, 'none')],
    ];
    expect(read(body.join(''), { parts })).toBe(
      [
        '1. one\n  1.1 one one\n  1.2 one two\n    a) deep',
        'between',
        '2. two\n  2.1 two one\n5. five\n6. six\n- dot\n  - circle',
        'none',
      ].join('\n\n'),
    );
  });

  it('number headings through their styles', () => {
    const body =
      paragraph('Scope', 'Part') +
      paragraph('Terms', 'Clause') +
      paragraph('More', 'Clause') +
      paragraph('End', 'Part');
    expect(read(body, { parts })).toBe('# Article I Scope\n\n## 1.1 Terms\n\n## 1.2 More\n\n# Article II End');
  });
});

describe('DOCX tables', () => {
  const cell = (content: string, properties = '') => `<w:tc><w:tcPr>${properties}</w:tcPr>${content}</w:tc>`;
  const row = (...cells: string[]) => `<w:tr>${cells.join('')}</w:tr>`;

  it('keep their columns when cells are merged', () => {
    const rows = [
      row(cell(paragraph('wide'), '<w:gridSpan w:val="2"/>'), cell(paragraph('c'))),
      row(cell(paragraph('tall'), '<w:vMerge w:val="restart"/>'), cell(paragraph('b')), cell(paragraph('c'))),
      row(cell(p(), '<w:vMerge/>'), cell(paragraph('e') + paragraph('f')), cell(paragraph('g'))),
    ];
    expect(read(`<w:tbl>${rows.join('')}</w:tbl>`)).toBe(
      '| wide |  | c |\n| --- | --- | --- |\n| tall | b | c |\n|  | e f | g |',
    );
  });

  it('inside a table cell are read as tables, and the outer table block by block', () => {
    const inner = wordTable([
      ['a', 'b'],
      ['c', 'd'],
    ]);
    expect(read(`<w:tbl>${row(cell(paragraph('outer')), cell(inner + p()))}</w:tbl>`)).toBe(
      'outer\n\n| a | b |\n| --- | --- |\n| c | d |',
    );
  });

  it('include rows and cells inside content controls and tracked insertions', () => {
    const wrapped = `<w:sdt><w:sdtPr><w:alias w:val="x"/></w:sdtPr><w:sdtContent>${row(cell(paragraph('in')), `<w:sdt><w:sdtContent>${cell(paragraph('control'))}</w:sdtContent></w:sdt>`)}</w:sdtContent></w:sdt>`;
    const deleted = `<w:tr><w:trPr><w:del w:id="1"/></w:trPr>${cell(paragraph('gone'))}${cell(paragraph('too'))}</w:tr>`;
    expect(read(`<w:tbl>${row(cell(paragraph('a')), cell(paragraph('b')))}${deleted}${wrapped}</w:tbl>`)).toBe(
      '| a | b |\n| --- | --- |\n| in | control |',
    );
  });
});

describe('DOCX inline content', () => {
  it.each([
    [
      'tracked insertions and no deletions',
      `<w:ins>${run('new ')}</w:ins><w:del><w:r><w:delText>old </w:delText></w:r></w:del><w:moveTo>${run('moved')}</w:moveTo><w:moveFrom>${run('from here')}</w:moveFrom>`,
      'new moved',
    ],
    [
      'symbols',
      '<w:r><w:sym w:font="Wingdings" w:char="F0FC"/></w:r>' +
        run(' ') +
        '<w:r><w:sym w:font="Symbol" w:char="F061"/></w:r>',
      '✓ α',
    ],
    ['letters of a symbol font', run('\uf061', '<w:rFonts w:ascii="Symbol"/>'), 'α'],
    [
      'tabs, breaks and hyphens',
      '<w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:ptab/><w:t>c</w:t><w:br/><w:t>d</w:t><w:cr/><w:t>e</w:t><w:noBreakHyphen/><w:t>f</w:t><w:softHyphen/><w:t>g</w:t></w:r>',
      'a\tb\tc\nd\ne-fg',
    ],
    [
      'content controls',
      `<w:sdt><w:sdtPr><w:tag w:val="hidden"/></w:sdtPr><w:sdtContent>${run('controlled')}</w:sdtContent></w:sdt>`,
      'controlled',
    ],
    [
      'wrappers of any name',
      `<w:smartTag><w:customXml><w:bdo>${run('deep')}</w:bdo></w:customXml></w:smartTag><w:unheardOf>${run(' down')}</w:unheardOf>`,
      'deep down',
    ],
    [
      'no hidden text',
      run('seen') + run(' secret', '<w:vanish/>') + run(' not hidden', '<w:vanish w:val="0"/>'),
      'seen not hidden',
    ],
    [
      'the results of fields and not their codes',
      '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>REF x</w:instrText></w:r><w:r><w:t>hidden</w:t></w:r><w:r><w:fldChar w:fldCharType="separate"/></w:r>' +
        run('result') +
        '<w:r><w:fldChar w:fldCharType="end"/></w:r>' +
        run(' after'),
      'result after',
    ],
    [
      'form fields',
      '<w:r><w:fldChar w:fldCharType="begin"><w:ffData><w:checkBox><w:default w:val="0"/><w:checked/></w:checkBox></w:ffData></w:fldChar></w:r><w:r><w:instrText>FORMCHECKBOX</w:instrText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r>' +
        run(' yes'),
      '☒ yes',
    ],
    [
      'formulas',
      '<m:oMath><m:r><m:t>E=</m:t></m:r><m:f><m:num><m:r><m:t>a+b</m:t></m:r></m:num><m:den><m:r><m:t>2</m:t></m:r></m:den></m:f><m:sSup><m:e><m:r><m:t>c</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup></m:oMath>',
      'E=(a+b)/2c^2',
    ],
    [
      'readings of characters',
      `<w:ruby><w:rt>${run('かんじ')}</w:rt><w:rubyBase>${run('漢字')}</w:rubyBase></w:ruby>`,
      '漢字(かんじ)',
    ],
  ])('includes %s', (_what, content, text) => expect(read(p(content))).toBe(text));

  it('includes web links written as hyperlink elements or as fields', () => {
    const field = `<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText> HYPERLINK "https://two.test/" </w:instrText></w:r><w:r><w:fldChar w:fldCharType="separate"/></w:r>${run('two')}<w:r><w:fldChar w:fldCharType="end"/></w:r>`;
    const body = p(
      `<w:hyperlink r:id="l1">${run('one')}</w:hyperlink>`,
      run(' '),
      field,
      `<w:hyperlink w:anchor="x">${run(' here')}</w:hyperlink>`,
    );
    expect(read(body, { relations: { l1: ['hyperlink', 'https://one.test/'] } })).toBe(
      '[one](https://one.test/) [two](https://two.test/) here',
    );
  });
});

describe('DOCX graphics', () => {
  const graphic = (content: string) =>
    p(
      `<w:r><w:drawing><wp:inline><a:graphic><a:graphicData>${content}</a:graphicData></a:graphic></wp:inline></w:drawing></w:r>`,
    );
  const points = (values: (string | number)[]) =>
    values.map((value, at) => `<c:pt idx="${at}"><c:v>${value}</c:v></c:pt>`).join('');

  it('include the titles and values of charts', () => {
    const title = '<c:title><c:tx><c:rich><a:p><a:r><a:t>Sales</a:t></a:r></a:p></c:rich></c:tx></c:title>';
    const series = (name: string, values: number[]) =>
      `<c:ser><c:tx><c:strRef><c:strCache>${points([name])}</c:strCache></c:strRef></c:tx><c:cat><c:strRef><c:strCache>${points(['Q1', 'Q2'])}</c:strCache></c:strRef></c:cat><c:val><c:numRef><c:numCache><c:formatCode>0%</c:formatCode>${points(values)}</c:numCache></c:numRef></c:val></c:ser>`;
    const chart = part(
      'c:chartSpace',
      `<c:chart>${title}<c:plotArea><c:barChart>${series('North', [0.5, 0.25])}${series('South', [1, 2])}</c:barChart></c:plotArea></c:chart>`,
    );
    expect(
      read(graphic('<c:chart r:id="c1"/>'), {
        parts: { 'charts/chart1.xml': chart },
        relations: { c1: ['chart', 'charts/chart1.xml'] },
      }),
    ).toBe('Sales\n\n|  | North | South |\n| --- | --- | --- |\n| Q1 | 50% | 100% |\n| Q2 | 25% | 200% |');
  });

  it('include the texts of diagrams', () => {
    const point = (text: string) => `<dgm:pt><dgm:t><a:p><a:r><a:t>${text}</a:t></a:r></a:p></dgm:t></dgm:pt>`;
    const data = part('dgm:dataModel', `<dgm:ptLst>${point('Plan')}${point('Do')}</dgm:ptLst>`);
    expect(
      read(graphic('<dgm:relIds r:dm="d1"/>'), {
        parts: { 'diagrams/data1.xml': data },
        relations: { d1: ['diagramData', 'diagrams/data1.xml'] },
      }),
    ).toBe('- Plan\n- Do');
  });
});

it('a DOCX with embedded HTML, text or DOCX parts is read with the text of these parts', () => {
  const inner = zipSync(docxParts(paragraph('From a document')));
  const body = ['a1', 'a2', 'a3'].map((id) => `<w:altChunk r:id="${id}"/>`).join('');
  expect(
    read(body, {
      parts: {
        'page.html': strToU8('<p>From a <b>page</b></p>'),
        'note.txt': strToU8('From a text'),
        'inner.docx': inner,
      },
      relations: { a1: ['aFChunk', 'page.html'], a2: ['aFChunk', 'note.txt'], a3: ['aFChunk', 'inner.docx'] },
    }),
  ).toBe('From a **page**\n\nFrom a text\n\nFrom a document');
});

it('a DOCX with other namespace prefixes, as in ISO 29500 strict, is read', () => {
  const main = 'http://purl.oclc.org/ooxml/wordprocessingml/main';
  const strict = zipSync({
    ...docxParts(''),
    '_rels/.rels': strToU8(
      `<Relationships xmlns="${relationships}"><Relationship Id="rId1" Type="http://purl.oclc.org/ooxml/officeDocument/relationships/officeDocument" Target="/word/document.xml"/></Relationships>`,
    ),
    'word/document.xml': strToU8(
      `<x:document xmlns:x="${main}"><x:body><x:p><x:pPr><x:pStyle x:val="Heading1"/></x:pPr><x:r><x:t>Strict</x:t></x:r></x:p></x:body></x:document>`,
    ),
  });
  expect(textOfDocx(strict)).toBe('# Strict');
});

it('a DOCX with circular or repeated references is read once or rejected above the size limit', () => {
  const parts = {
    'footnotes.xml': part(
      'w:footnotes',
      `<w:footnote w:id="1">${p(run('x'), '<w:r><w:footnoteReference w:id="1"/></w:r>')}</w:footnote>`,
    ),
  };
  expect(read(p(run('a'), '<w:r><w:footnoteReference w:id="1"/></w:r>'), { parts })).toBe('a[^1]\n\n[^1]: x[^1]');
  const comments = part(
    'w:comments',
    `<w:comment w:id="0">${p(run('y'), '<w:r><w:commentReference w:id="0"/></w:r>')}</w:comment>`,
  );
  const commented = p(run('b'), '<w:r><w:commentReference w:id="0"/></w:r>'.repeat(50));
  expect(read(commented, { parts: { 'comments.xml': comments } })).toBe('b\n\nComment: y');
  expect(() =>
    read('<w:altChunk r:id="a1"/>'.repeat(50), {
      parts: { 'long.txt': strToU8('z'.repeat(100_000)) },
      relations: { a1: ['aFChunk', 'long.txt'] },
    }),
  ).toThrow('has more than 2,000,000 characters of text');
});
