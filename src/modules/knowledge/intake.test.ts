import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { nothingStored } from '../../../test/expect-unchanged.ts';
import { type Kit, startKit } from '../../../test/kit.ts';
import { postOperation } from '../../../test/multipart.ts';
import { searchForm } from '../../text/normalize.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await startKit();
});
afterAll(() => kit?.close());
beforeEach(async () => {
  await kit.prisma.document.deleteMany();
  await kit.prisma.documentFolder.deleteMany();
});

const unchanged = <T>(work: () => Promise<T>): Promise<T> => nothingStored(kit, work);

const addTextDocument = `mutation ($input: AddTextDocumentInput!) {
  addTextDocument(input: $input) { added { text document { id documentId title location wordCount agents { nodes { databaseId } } } } }
}`;
const addLinkDocument = `mutation ($input: AddLinkDocumentInput!) {
  addLinkDocument(input: $input) { added { document { id documentId } } }
}`;
const uploadDocuments = `mutation ($input: UploadDocumentsInput!) {
  uploadDocuments(input: $input) { added { text document { title location } } }
}`;
const createFolder = 'mutation ($name: String!) { createDocumentFolder(input: { name: $name }) { folder { name } } }';
const deleteFolder = `mutation ($name: String!) {
  deleteDocumentFolder(input: { name: $name }) { deletedName deletedDocumentIds }
}`;
const move = `mutation ($moves: [DocumentMoveInput!]!) {
  moveDocuments(input: { moves: $moves }) { skipped documents { location } }
}`;
const remove = `mutation ($locations: [String!]!) {
  deleteDocuments(input: { locations: $locations }) { deletedDocumentIds }
}`;

const upload = (files: [name: string, content: string][], input: object = {}, key = kit.keys.ADMIN) =>
  postOperation(
    kit,
    { query: uploadDocuments, variables: { input: { files: files.map(() => null), ...input } } },
    Object.fromEntries(files.map((_, at) => [String(at), [`variables.input.files.${at}`]])),
    files.map(([fileName, content], at) => ({ name: String(at), fileName, content })),
    { key },
  );
const add = async (title: string, more: object = {}, key = kit.keys.ADMIN) => {
  const { data, errors } = await kit.gql(
    addTextDocument,
    { input: { text: title, metadata: { title }, ...more } },
    key,
  );
  if (errors.length > 0) throw new Error(JSON.stringify(errors));
  return data.addTextDocument.added[0].document;
};
const problem = ({ errors }: Awaited<ReturnType<Kit['gql']>>) => [errors[0]?.extensions.code, errors[0]?.message];

test('an upload adds all of its files, or no file when one of them is invalid', async () => {
  const { data } = await upload(
    [
      ['a.md', '# A'],
      ['b.txt', 'B'],
    ],
    { folder: 'letters' },
  );
  expect(data.uploadDocuments.added).toMatchObject([
    { text: '# A', document: { title: 'a.md', location: expect.stringMatching(/^letters\/a\.md-/) } },
    { text: 'B', document: { title: 'b.txt' } },
  ]);
  const answer = await unchanged(() =>
    upload([
      ['c.txt', 'C'],
      ['d.pdf', 'no pdf'],
    ]),
  );
  expect(problem(answer)).toEqual(['BAD_USER_INPUT', 'input.files.1: d.pdf is not a PDF document.']);
  expect(problem(await unchanged(() => upload([])))).toEqual(['BAD_USER_INPUT', 'input.files: must be 1 to 20 files']);
});

test.each<[string, string, object, string]>([
  ['a text without a title', addTextDocument, { text: 'x', metadata: {} }, 'input.metadata.title'],
  ['a blank text', addTextDocument, { text: ' ', metadata: { title: 'x' } }, 'input.text'],
  ['a folder that is a path', addTextDocument, { text: 'x', metadata: { title: 'x' }, folder: '../x' }, 'input.folder'],
  [
    'NUL in what is said',
    addTextDocument,
    { text: 'x', metadata: { title: 'x', docAuthor: '\0' } },
    'input.metadata.docAuthor',
  ],
  ['no address', addLinkDocument, { url: ' ' }, 'input.url'],
  ['a private address', addLinkDocument, { url: 'http://10.0.0.1/' }, 'input.url'],
  [
    'a header that splits',
    addLinkDocument,
    { url: 'http://10.0.0.1/', headers: [{ name: 'a', value: 'b\r\nc: d' }] },
    'input.headers.0.value',
  ],
  [
    'a header without a name',
    addLinkDocument,
    { url: 'http://10.0.0.1/', headers: [{ name: '', value: 'b' }] },
    'input.headers.0.name',
  ],
])('rejects %s, and names the field', async (_what, query, input, field) => {
  const answer = await unchanged(() => kit.gql(query, { input }));
  expect(answer.errors[0]?.extensions.code).toBe('BAD_USER_INPUT');
  expect(answer.errors[0]?.message).toContain(`${field}: `);
});

describe('document folders', () => {
  test('are counted, created, and deleted together with their documents', async () => {
    expect((await kit.gql(createFolder, { name: 'birds' })).data.createDocumentFolder.folder).toEqual({
      name: 'birds',
    });
    const { id } = await add('Auk', { folder: 'birds' });
    const { data } = await kit.gql('{ documentFolders { name documentCount } }');
    expect(data.documentFolders).toEqual([
      { name: 'custom-documents', documentCount: 0 },
      { name: 'birds', documentCount: 1 },
    ]);
    const taken = await unchanged(() => kit.gql(createFolder, { name: 'birds' }));
    expect(problem(taken)).toEqual(['CONFLICT', 'A folder with this name already exists.']);
    expect((await kit.gql(deleteFolder, { name: 'birds' })).data.deleteDocumentFolder).toEqual({
      deletedName: 'birds',
      deletedDocumentIds: [id],
    });
    for (const [name, code] of [
      ['birds', 'NOT_FOUND'],
      ['custom-documents', 'BAD_USER_INPUT'],
      ['a/b', 'BAD_USER_INPUT'],
    ] as const)
      expect(problem(await unchanged(() => kit.gql(deleteFolder, { name })))[0]).toBe(code);
    const actions = (await kit.prisma.auditEvent.findMany({ orderBy: { id: 'desc' }, take: 4 })).map(
      ({ action }) => action,
    );
    expect(actions.reverse()).toEqual([
      'document_folder.create',
      'document.ingest',
      'document.delete',
      'document_folder.delete',
    ]);
  });

  test('are deleted without the documents that the caller cannot read', async () => {
    const owner = await kit.createKey('ADMIN');
    const project = await kit.prisma.project.create({ data: { name: 'p', ownerId: owner.userId } });
    const { documentId } = await add('Hidden', { folder: 'birds' }, owner.secret);
    await kit.prisma.document.update({
      where: { externalId: documentId },
      data: { isPublic: false, projectId: project.id },
    });
    expect((await kit.gql('{ documentFolders { documentCount } }')).data.documentFolders[1].documentCount).toBe(0);
    expect((await kit.gql(deleteFolder, { name: 'birds' })).data.deleteDocumentFolder.deletedDocumentIds).toEqual([]);
    const documents =
      'query ($folder: String) { documents(filter: { folder: $folder }) { totalCount nodes { documentId } } }';
    const inFolder = async (key: string) =>
      (await kit.gql(documents, { folder: 'custom-documents' }, key)).data.documents.nodes;
    expect(await inFolder(owner.secret)).toEqual([{ documentId }]);
    expect(await inFolder(kit.keys.ADMIN)).toEqual([]);
    await kit.prisma.project.delete({ where: { id: project.id } });
  });

  test('neither duplicate nor lose a document that is moved and deleted concurrently', async () => {
    await kit.gql(createFolder, { name: 'birds' });
    const { location } = await add('Auk');
    const answers = await Promise.all([
      kit.gql(move, { moves: [{ from: location, to: 'birds/auk.json' }] }),
      kit.gql(move, { moves: [{ from: location, to: 'birds/auk.json' }] }),
      kit.gql(remove, { locations: [location, 'birds/auk.json'] }),
    ]);
    for (const { errors } of answers)
      for (const { extensions } of errors) expect(['BAD_USER_INPUT', 'CONFLICT']).toContain(extensions.code);
    const left = await kit.prisma.document.count();
    const deleted = answers[2]?.data?.deleteDocuments?.deletedDocumentIds.length ?? 0;
    expect(left + deleted).toBe(1);
  });

  test('are created once by concurrent uploads', async () => {
    await Promise.all(['a', 'b', 'c'].map((title) => add(title, { folder: 'shared' })));
    expect(await kit.prisma.documentFolder.count()).toBe(1);
    expect(await kit.prisma.document.count({ where: { folder: { name: 'shared' } } })).toBe(3);
  });
});

test('a document can be looked up by its file name and by its location', async () => {
  const { location, documentId } = await add('Auk', { folder: 'birds' });
  const find = (at: string) =>
    kit.gql('query ($at: String!) { document: documentByLocation(location: $at) { documentId } }', { at });
  const [, fileName] = location.split('/');
  for (const at of [location, fileName]) expect((await find(at)).data.document).toEqual({ documentId });
  for (const at of [`custom-documents/${fileName}`, 'x', '', '\0', '../x'])
    expect(problem(await find(at)), at).toEqual(['NOT_FOUND', 'Document not found']);
});

test('a search accepts an agent and a minimum score, and validates both', async () => {
  const search = (args: string) => kit.gql(`{ search(query: "auk", ${args}) { documentId } }`);
  expect(problem(await search('agent: { id: "QWN0aW9uOjE=" }'))[0]).toBe('BAD_USER_INPUT');
  for (const score of ['-0.1', '1.1']) expect(problem(await search(`minScore: ${score}`))[0]).toBe('BAD_USER_INPUT');
  expect(problem(await search('agent: { slug: "nowhere" }'))).toEqual(['NOT_FOUND', 'Agent not found']);
  expect(problem(await kit.gql('{ passagesOfAgent(agent: { slug: "nowhere" }) }'))).toEqual([
    'NOT_FOUND',
    'Agent not found',
  ]);
  await add('Auk');
  expect((await search('minScore: 0.9')).data.search).toHaveLength(1);
  const { data } = await kit.gql('{ search(query: "auk bread oven recipe", minScore: 0.25) { documentId } }');
  expect(data.search).toEqual([]);
  expect((await kit.gql('{ passagesOfAgent(agent: { slug: "default" }) passageCount }')).data).toEqual({
    passagesOfAgent: 1,
    passageCount: 1,
  });
});

test('a search finds words regardless of the Unicode form in which they are written', async () => {
  const found = async (query: string) => {
    const { data } = await kit.gql('query ($query: String!) { search(query: $query) { documentId } }', { query });
    return data.search.map(({ documentId }: { documentId: string }) => documentId);
  };
  for (const [written, plain] of [
    ['\ufb01nance', 'finance'],
    ['U\u0308bersicht', '\u00fcbersicht'],
    ['\uff35\uff33\uff22', 'usb'],
    ['knowl\u00adedge', 'knowledge'],
  ] as const) {
    const { documentId } = await add(`About ${written}.`);
    expect(await found(plain), plain).toEqual([documentId]);
    expect(await found(written), written).toEqual([documentId]);
  }
});

test('the database normalizes indexed texts in the same way as search queries', async () => {
  const points = Array.from({ length: 0x2fff }, (_, at) => at + 1)
    .concat(
      Array.from({ length: 0x2000 }, (_, at) => 0xe000 + at),
      Array.from({ length: 0x200 }, (_, at) => 0xe0000 + at),
    )
    .filter((point) => point < 0xd800 || point > 0xdfff);
  const texts = points.map((point) => `a${String.fromCodePoint(point)}b`);
  const rows = await kit.prisma.$queryRaw<{ form: string }[]>`
    SELECT "search_form"(text) AS form FROM unnest(${texts}::text[]) WITH ORDINALITY AS t(text, n) ORDER BY n`;
  const different = texts.filter((text, at) => rows[at]?.form !== searchForm(text));
  expect(different.map((text) => text.codePointAt(1)?.toString(16))).toEqual([]);
});

test('a file uploaded again to the same folder replaces the earlier document and keeps its ID', async () => {
  const first = (await upload([['plan.md', 'The zorilla sleeps.']], { folder: 'plans' })).data.uploadDocuments.added[0];
  const again = (await upload([['plan.md', 'The quokka sleeps.']], { folder: 'plans' })).data.uploadDocuments.added[0];
  expect(again.document).toEqual(first.document);
  const found = async (query: string) => {
    const { data } = await kit.gql('query ($query: String!) { search(query: $query) { text } }', { query });
    return data.search.map(({ text }: { text: string }) => text);
  };
  expect(await found('zorilla')).toEqual([]);
  expect(await found('quokka')).toEqual(['The quokka sleeps.']);
  await upload([['plan.md', 'Another folder.']]);
  await upload([['plan.txt', 'Another name.']], { folder: 'plans' });
  expect(await kit.prisma.document.count()).toBe(3);
  await Promise.all([1, 2, 3].map((n) => upload([['late.md', `Version ${n}.`]])));
  expect(await kit.prisma.document.count()).toBe(4);
});

test('an upload that cannot be read replaces no document', async () => {
  await upload([['kept.json', '"The numbat sleeps."']], { folder: 'plans' });
  await unchanged(async () => {
    const { errors } = await upload([['kept.json', '{']], { folder: 'plans' });
    expect(errors[0]?.extensions.code).toBe('BAD_USER_INPUT');
  });
  const { data } = await kit.gql('{ search(query: "numbat") { text } }');
  expect(data.search).toEqual([{ text: expect.stringContaining('The numbat sleeps.') }]);
});

test('the documents of search results are loaded with a constant number of statements', async () => {
  const statements = async () => {
    kit.statements.length = 0;
    const { data } = await kit.gql('{ search(query: "auk", first: 50) { document { title wordCount } } }');
    return [data.search.length, kit.statements.filter((text) => /FROM "(public"\.")?Document"/.test(text)).length];
  };
  await add('Auk one');
  await statements();
  const [, before] = await statements();
  for (const title of ['Auk two', 'Auk three', 'Auk four']) await add(title);
  expect(await statements()).toEqual([4, before]);
});

test('every operation except searching requires `manage:documents`', async () => {
  const { location } = await add('Auk');
  const { secret } = await kit.createKey('ADMIN', { scopes: ['read:search', 'read:agents'] });
  const title = { title: 'x' };
  const calls: [string, object?][] = [
    [addTextDocument, { input: { text: 'x', metadata: title } }],
    [addLinkDocument, { input: { url: 'https://example.com/' } }],
    [createFolder, { name: 'x' }],
    [deleteFolder, { name: 'x' }],
    [move, { moves: [{ from: location, to: 'custom-documents/x.json' }] }],
    [remove, { locations: [location] }],
    ['{ documentFolders { name } }'],
    ['{ documents(filter: { folder: "custom-documents" }) { totalCount } }'],
    ['query ($at: String!) { documentByLocation(location: $at) { documentId } }', { at: location }],
    ['{ acceptedDocumentTypes { mediaType } }'],
    ['{ passageCount }'],
  ];
  await unchanged(async () => {
    for (const key of [kit.keys.BASIC, kit.keys.LIMITED, secret]) {
      for (const [query, variables] of calls) {
        const { data, errors } = await kit.gql(query, variables, key);
        expect(
          Object.values(data ?? {}).filter((value) => value !== null),
          query,
        ).toEqual([]);
        expect(errors[0]?.extensions).toEqual({
          code: 'FORBIDDEN',
          reason: 'MISSING_PERMISSION',
          requiredPermissions: ['manage:documents'],
        });
      }
      expect((await upload([['a.txt', 'x']], {}, key)).errors[0]?.extensions.code).toBe('FORBIDDEN');
    }
    for (const query of [
      '{ passagesOfAgent(agent: { slug: "default" }) }',
      '{ search(query: "x", agent: { slug: "default" }) { text } }',
    ])
      expect((await kit.gql(query, {}, kit.keys.LIMITED)).errors[0]?.extensions).toEqual({
        code: 'FORBIDDEN',
        reason: 'MISSING_PERMISSION',
        requiredPermissions: ['read:search'],
      });
  });
});
