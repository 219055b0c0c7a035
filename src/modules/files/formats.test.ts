import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nothingStored } from '../../../test/expect-unchanged.ts';
import { type Kit, startKit } from '../../../test/kit.ts';
import { postForm, uploadGraphql, uploadRest } from '../../../test/multipart.ts';
import { docx, docxWithZeros, paragraph, pdf, scannedPdf } from './extract/fixtures.ts';
import { drawn, epub, odf, pptx, shape, xlsx } from './extract/office-fixtures.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await startKit();
});
afterAll(() => kit?.close());

const p = (text: string) => `<text:p>${text}</text:p>`;
/** A file of each type, with a word that occurs only in that file. */
const files: [name: string, bytes: Uint8Array, kind: string, word: string][] = [
  ['a.pdf', pdf(['The pdfword is here']), 'document', 'pdfword'],
  ['a.docx', docx(paragraph('The docxword is here')), 'document', 'docxword'],
  [
    'a.xlsx',
    xlsx([{ name: 'S', rows: '<x:row><x:c r="A1" t="str"><x:v>The xlsxword is here</x:v></x:c></x:row>' }]),
    'csv',
    'xlsxword',
  ],
  ['a.pptx', pptx([shape(drawn('The pptxword is here'))]), 'document', 'pptxword'],
  ['a.odt', odf('text', p('The odtword is here')), 'document', 'odtword'],
  [
    'a.ods',
    odf(
      'spreadsheet',
      `<table:table><table:table-row><table:table-cell>${p('The odsword is here')}</table:table-cell></table:table-row></table:table>`,
    ),
    'csv',
    'odsword',
  ],
  ['a.odp', odf('presentation', `<draw:page>${p('The odpword is here')}</draw:page>`), 'document', 'odpword'],
  ['a.epub', epub('Book', { 'a.xhtml': '<p>The epubword is here</p>' }), 'document', 'epubword'],
  ['a.rtf', Buffer.from('{\\rtf1\\ansi The rtfword is here}'), 'document', 'rtfword'],
  ['a.eml', Buffer.from('Subject: Hello\r\n\r\nThe emlword is here'), 'document', 'emlword'],
];

const uploadDocument = (name: string, content: Uint8Array) =>
  postForm(kit, '/api/v1/document/upload', [{ name: 'file', fileName: name, content }], { key: kit.keys.ADMIN });

describe.each(files)('%s', (name, bytes, kind, word) => {
  it('is extracted and found as a file of a user', async () => {
    const { body } = await uploadRest(kit, { [name]: bytes });
    const [{ id }] = body.user_files;
    await kit.booted.background.settled();
    const { body: file } = await kit.rest('GET', `/api/user/projects/file/${id}`, { key: kit.keys.BASIC });
    expect(file).toMatchObject({ status: 'COMPLETED', chat_file_type: kind, chunk_count: 1 });
    expect(file).not.toHaveProperty('error');
    const { data } = await kit.gql(
      'query ($q: String!) { search(query: $q) { documentId } }',
      { q: word },
      kit.keys.BASIC,
    );
    expect(data.search).toEqual([{ documentId: id }]);
  });

  it('is extracted as a document', async () => {
    const { body } = await uploadDocument(name, bytes);
    expect(body.documents).toMatchObject([
      { title: name, pageContent: expect.stringContaining(`The ${word} is here`) },
    ]);
  });
});

it('the accepted types are the same over REST and GraphQL', async () => {
  const { body } = await kit.rest('GET', '/api/v1/document/accepted-file-types');
  const { data } = await kit.gql('{ acceptedDocumentTypes { mediaType extensions } }');
  const listed = data.acceptedDocumentTypes.map((type: { mediaType: string; extensions: string[] }) => [
    type.mediaType,
    type.extensions,
  ]);
  expect(Object.entries(body.types)).toEqual(listed);
  const extensions = Object.values(body.types).flat();
  for (const [name] of files) expect(extensions).toContain(name.slice(1));
});

describe('a file that cannot be read', () => {
  const scanned = /^contains no readable text: its pages are scanned images/;
  const cases: [what: string, name: string, bytes: Uint8Array, reason: RegExp][] = [
    ['a scan', 'scan.pdf', scannedPdf(), scanned],
    ['a damaged workbook', 'a.xlsx', Buffer.from('PK\x03\x04 nothing'), /^could not be read$/],
    ['a book without text', 'a.epub', epub('', { 'a.xhtml': '' }), /^contains no readable text$/],
    ['a bomb', 'a.docx', docxWithZeros('word/document.xml', 200), /^is too large when unpacked$/],
  ];

  it.each(cases)('%s becomes FAILED with the reason, over REST and GraphQL', async (_what, name, bytes, reason) => {
    const { body } = await uploadRest(kit, { [name]: bytes });
    const [{ id, status }] = body.user_files;
    expect(status).toBe('PROCESSING');
    await kit.booted.background.settled();
    const statuses = await kit.rest('POST', '/api/user/projects/file/statuses', {
      key: kit.keys.BASIC,
      body: { file_ids: [id] },
    });
    expect(statuses.body).toMatchObject([
      { status: 'FAILED', error: expect.stringMatching(reason), chunk_count: null },
    ]);
    const { data } = await kit.gql('query ($id: ID!) { file(id: $id) { status error } }', { id }, kit.keys.BASIC);
    expect(data.file).toEqual({ status: 'FAILED', error: expect.stringMatching(reason) });
  });

  it.each(cases)(
    '%s is rejected with 422 and the reason when uploaded as a document',
    async (_what, name, bytes, reason) => {
      await nothingStored(kit, async () => {
        const { status, body } = await uploadDocument(name, bytes);
        expect([status, body.success, body.documents]).toEqual([422, false, []]);
        expect(body.error.replace(`${name} `, '').replace(/\.$/, '')).toMatch(reason);
      });
    },
  );

  it('is rejected before storage when its content contradicts its extension', async () => {
    await nothingStored(kit, async () => {
      const { data } = await uploadGraphql(kit, { 'a.xlsx': 'text', 'a.eml': 'no headers', 'a.rtf': 'text' });
      expect(data.uploadFiles).toEqual({
        files: [],
        rejected: [
          { name: 'a.xlsx', reason: 'is not an XLSX workbook' },
          { name: 'a.eml', reason: 'is not an e-mail message' },
          { name: 'a.rtf', reason: 'is not an RTF document' },
        ],
      });
    });
  });
});
