import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kit, startKit } from '../../../test/kit.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await startKit();
});
afterAll(() => kit?.close());

const ingest = (document: object, rest: object = {}) =>
  kit.rest('POST', '/api/onyx-api/ingestion', {
    body: {
      document: { semantic_identifier: 'A document', sections: [{ text: 'A text.' }], metadata: {}, ...document },
      ...rest,
    },
  });
const listed = async (): Promise<{ document_id: string; semantic_id: string; link: string | null }[]> =>
  (await kit.rest('GET', '/api/onyx-api/ingestion')).body;
const found = async (query: string): Promise<{ documentId: string; title: string; heading: string }[]> =>
  (await kit.gql('query ($query: String!) { search(query: $query) { documentId title heading } }', { query })).data
    .search;
const stored = async (id: string) => kit.prisma.document.findUniqueOrThrow({ where: { externalId: id } });
/** Returns an answer from these documents only. */
const ask = async (message: string, filters: object) =>
  (
    await kit.rest('POST', '/api/chat/send-chat-message', {
      body: { message, stream: false, internal_search_filters: filters },
    })
  ).body;

async function refused(document: object, status: number, message: RegExp, rest: object = {}) {
  const before = await kit.fingerprint();
  const reply = await ingest(document, rest);
  expect([reply.status, reply.text]).toEqual([status, expect.stringMatching(message)]);
  expect(await kit.fingerprint()).toBe(before);
}

describe('`title` and `semantic_identifier` of a document', () => {
  it('searches by `title` and shows `semantic_identifier` in lists, search results and answers', async () => {
    await ingest({
      id: 'thread',
      semantic_identifier: '#general channel',
      title: 'Quokka enclosure opening hours',
      source: 'slack',
      sections: [{ text: 'From nine to five.', link: 'https://chat.example/thread' }],
    });
    expect(await found('quokka')).toEqual([
      { documentId: 'thread', title: '#general channel', heading: 'Quokka enclosure opening hours' },
    ]);
    expect(await found('channel')).toEqual([]);
    expect(await listed()).toContainEqual({
      document_id: 'thread',
      semantic_id: '#general channel',
      link: 'https://chat.example/thread',
    });
    const answer = await ask('When does the quokka enclosure open?', { source_type: ['slack'] });
    expect(answer.citation_info).toEqual([{ type: 'citation_info', citation_number: 1, document_id: 'thread' }]);
    expect(answer.top_documents).toMatchObject([{ document_id: 'thread', semantic_identifier: '#general channel' }]);
  });

  it('searches by `semantic_identifier` when `title` is absent or null', async () => {
    await ingest({ id: 'absent', semantic_identifier: 'Wombat burrows' });
    await ingest({ id: 'null', semantic_identifier: 'Wombat tunnels', title: null });
    expect((await found('wombat')).map(({ documentId }) => documentId).sort()).toEqual(['absent', 'null']);
  });

  it('indexes the text alone when `title` is empty', async () => {
    const reply = await ingest({
      id: 'untitled',
      semantic_identifier: 'Numbat thread',
      title: '',
      sections: [{ text: 'Termites are eaten at dawn.' }],
    });
    expect(reply.status).toBe(200);
    expect(await found('numbat')).toEqual([]);
    expect(await found('termites')).toEqual([{ documentId: 'untitled', title: 'Numbat thread', heading: '' }]);
  });

  it('indexes a new `title` of an unchanged text, and `semantic_identifier` when a later request omits `title`', async () => {
    const document = { id: 'renamed', semantic_identifier: 'Bilby', sections: [{ text: 'Long ears.' }] };
    await ingest({ ...document, title: 'Macrotis' });
    await ingest({ ...document, title: 'Thylacomyidae' });
    expect(await found('macrotis')).toEqual([]);
    expect(await found('thylacomyidae')).toHaveLength(1);
    await ingest(document);
    expect(await found('thylacomyidae')).toEqual([]);
    expect(await found('bilby')).toHaveLength(1);
  });

  it('rejects a title that cannot be stored, and changes no data', async () => {
    await refused({ id: 'new', title: 'a\0b' }, 400, /title: must not contain NUL/i);
    await refused({ id: 'new', title: 'x'.repeat(501) }, 400, /title/i);
    await refused({ id: 'new', title: 5 }, 422, /document\.title/);
    await refused({ id: 'new', semantic_identifier: ' ' }, 400, /document\.semantic_identifier: must not be empty/);
  });
});

describe('the list of ingested documents', () => {
  it('contains no chat attachments, no project files or documents, and no built-in documentation', async () => {
    const before = await listed();
    expect(before.map(({ document_id }) => document_id)).not.toContain('latchkey-docs-search');
    expect(await stored('latchkey-docs-search')).toMatchObject({ origin: 'BUILTIN' });
    const attachment = await kit.upload('attachment.txt', 'Attached.');
    expect(await stored(attachment)).toMatchObject({ origin: 'FILE' });
    const { data } = await kit.gql('mutation { createProject(input: { name: "project" }) { project { databaseId } } }');
    const { databaseId: projectId } = data.createProject.project;
    await kit.upload('in-project.txt', 'In a project.', { projectId });
    const added = await kit.gql(
      `mutation ($projectId: ID!) {
        addProjectDocument(input: { projectId: $projectId, title: "Plan", sections: [{ text: "A plan." }] }) {
          document { documentId origin }
        }
      }`,
      { projectId },
    );
    expect(added.data.addProjectDocument.document.origin).toBe('PROJECT');
    expect(await listed()).toEqual(before);
    await ingest({ id: 'listed' });
    expect((await listed()).map(({ document_id }) => document_id).sort()).toEqual(
      [...before.map(({ document_id }) => document_id), 'listed'].sort(),
    );
  });

  it('DELETE deletes a document in the list, and rejects any other document', async () => {
    const attachment = await kit.upload('kept.txt', 'Kept.');
    const before = await kit.fingerprint();
    for (const id of ['latchkey-docs-search', attachment]) {
      const reply = await kit.rest('DELETE', `/api/onyx-api/ingestion/${id}`);
      expect([reply.status, reply.body]).toEqual([
        400,
        { error_code: 'VALIDATION_ERROR', detail: 'Document was not created via the ingestion API' },
      ]);
    }
    expect((await kit.rest('DELETE', '/api/onyx-api/ingestion/missing')).body).toEqual({
      error_code: 'DOCUMENT_NOT_FOUND',
      detail: 'Document not found',
    });
    expect(await kit.fingerprint()).toBe(before);
    await ingest({ id: 'gone' });
    expect((await kit.rest('DELETE', '/api/onyx-api/ingestion/gone')).text).toBe('null');
    expect((await listed()).map(({ document_id }) => document_id)).not.toContain('gone');
  });
});

describe('the source of a document', () => {
  it('defaults to ingestion_api, accepts any source of the contract, and is kept when a later request omits it', async () => {
    await ingest({ id: 'sourced' });
    expect(await stored('sourced')).toMatchObject({ source: 'ingestion_api' });
    await ingest({ id: 'sourced', source: 'confluence' });
    await ingest({ id: 'sourced' });
    expect(await stored('sourced')).toMatchObject({ source: 'confluence' });
  });

  it('is rejected when Onyx clients do not know it', async () => {
    for (const source of ['handbook', 'Slack', '', 5])
      await refused({ id: 'new', source }, 422, /document\.source: is not a known source/);
    const before = await kit.fingerprint();
    const reply = await kit.rest('POST', '/api/chat/send-chat-message', {
      body: { message: 'x', stream: false, internal_search_filters: { source_type: ['handbook'] } },
    });
    expect([reply.status, reply.text]).toEqual([422, expect.stringMatching(/internal_search_filters\.source_type/)]);
    expect(await kit.fingerprint()).toBe(before);
  });

  it('is mapped to a known source, in results and in filters, for a document of another path', async () => {
    await kit.rest('POST', '/api/v1/document/raw-text', {
      body: { textContent: 'Platypus eggs are leathery.', metadata: { title: 'Monotremes' } },
    });
    await kit.gql(
      `mutation { ingestDocument(input: { documentId: "own", title: "Own", source: "handbook", sections: [{ text: "Platypus spurs are venomous." }] }) { alreadyExisted } }`,
    );
    const sources = async (filters: object) =>
      (await ask('platypus', filters)).top_documents.map(({ source_type: source }: { source_type: string }) => source);
    expect((await sources({})).sort()).toEqual(expect.arrayContaining(['file', 'ingestion_api']));
    expect(await sources({ source_type: ['file'] })).toContain('file');
    expect(await sources({ source_type: ['confluence'] })).not.toContain('file');
  });
});

describe('the owners of a document', () => {
  const ada = { first_name: 'Ada', middle_initial: 'B', last_name: 'Lovelace', email: 'ada@people.example' };
  const owners = {
    primary_owners: [ada, { display_name: 'The keepers' }, {}],
    secondary_owners: [{ email: 'bob@people.example' }],
  };
  const search = async () =>
    (await ask('echidna', { source_type: ['notion'] })).top_documents.map(
      ({ primary_owners, secondary_owners }: Record<string, unknown>) => ({ primary_owners, secondary_owners }),
    );

  it('are stored completely, returned by name, and kept when a later request omits them or sends null', async () => {
    const document = { id: 'owned', source: 'notion', semantic_identifier: 'Echidna diet' };
    await ingest({ ...document, ...owners });
    const names = [{ primary_owners: ['Ada B Lovelace', 'The keepers'], secondary_owners: ['bob@people.example'] }];
    expect(await search()).toEqual(names);
    const nothing = { displayName: null, firstName: null, middleInitial: null, lastName: null, email: null };
    expect(await stored('owned')).toMatchObject({
      primaryOwners: [
        { displayName: null, firstName: 'Ada', middleInitial: 'B', lastName: 'Lovelace', email: 'ada@people.example' },
        { ...nothing, displayName: 'The keepers' },
        nothing,
      ],
      secondaryOwners: [{ ...nothing, email: 'bob@people.example' }],
    });
    await ingest({ ...document, primary_owners: null });
    expect(await search()).toEqual(names);
    await ingest({ ...document, primary_owners: [], secondary_owners: [] });
    expect(await search()).toEqual([{ primary_owners: null, secondary_owners: null }]);
  });

  it('are returned in GraphQL for a document and for a search result', async () => {
    await ingest({ id: 'told', source: 'notion', semantic_identifier: 'Dunnart nests', ...owners });
    const { data } = await kit.gql(
      `{ search(query: "dunnart") { primaryOwners secondaryOwners document { primaryOwners { name email } } } }`,
    );
    expect(data.search).toEqual([
      {
        primaryOwners: ['Ada B Lovelace', 'The keepers'],
        secondaryOwners: ['bob@people.example'],
        document: {
          primaryOwners: [
            { name: 'Ada B Lovelace', email: 'ada@people.example' },
            { name: 'The keepers', email: null },
            { name: null, email: null },
          ],
        },
      },
    ]);
  });

  it('are rejected when they are not a list of people, and no data is changed', async () => {
    await refused({ id: 'new', primary_owners: ['Ada'] }, 422, /document\.primary_owners\.0/);
    await refused({ id: 'new', primary_owners: [{ email: 5 }] }, 422, /document\.primary_owners\.0\.email/);
    await refused({ id: 'new', secondary_owners: [{ email: 'a\0b' }] }, 400, /owners.*email: must not contain NUL/is);
    await refused({ id: 'new', primary_owners: Array.from({ length: 101 }, () => ({})) }, 400, /owners/i);
  });
});

describe('restrictions on ingested documents', () => {
  it('rejects an image section with the advice to send a text description instead', async () => {
    await refused(
      { id: 'new', sections: [{ text: 'fine' }, { image_file_id: 'a', text: 'What it shows.' }] },
      422,
      /document\.sections\.1\.image_file_id: image sections are not supported: send what the image shows as the `text` of a section/,
    );
  });

  it('rejects a section without text instead of dropping it', async () => {
    for (const section of [{}, { text: null }, { link: 'https://docs.example' }, { rows: [['a']] }])
      await refused({ id: 'new', sections: [section] }, 422, /document\.sections\.0\.text: is required/);
  });

  it('returns 404 for a connector pair that does not exist', async () => {
    await refused({ id: 'new' }, 404, /CONNECTOR_NOT_FOUND.*pair 7 does not exist/, { cc_pair_id: 7 });
    expect((await ingest({ id: 'paired' }, { cc_pair_id: 1 })).status).toBe(200);
  });

  it('rejects access for single people or groups, and keeps a document private when the field is omitted', async () => {
    const access = { external_user_emails: [], external_user_group_ids: [] };
    const emails = { external_user_emails: ['a@people.example'] };
    await refused(
      { id: 'new', external_access: { ...access, ...emails, is_public: false } },
      422,
      /document\.external_access: documents cannot be shared with single people or groups/,
    );
    await ingest({ id: 'closed', external_access: { ...access, is_public: false } });
    expect(await stored('closed')).toMatchObject({ isPublic: false });
    // A client that does not know the field does not make the document public.
    await ingest({ id: 'closed' });
    await ingest({ id: 'closed', external_access: null });
    expect(await stored('closed')).toMatchObject({ isPublic: false });
    await ingest({ id: 'closed', external_access: { ...access, ...emails, is_public: true } });
    expect(await stored('closed')).toMatchObject({ isPublic: true });
  });

  it('rejects the ID of a file as the ID of a document', async () => {
    const id = await kit.upload('taken.txt', 'Taken.');
    await refused({ id }, 400, /VALIDATION_ERROR/);
  });

  it('interprets a time without a zone as UTC, and keeps it when a later request omits it', async () => {
    await ingest({ id: 'dated', doc_updated_at: '2026-03-29T02:30:00' });
    expect((await stored('dated')).documentUpdatedAt?.toISOString()).toBe('2026-03-29T02:30:00.000Z');
    await ingest({ id: 'dated' });
    expect((await stored('dated')).documentUpdatedAt).not.toBeNull();
  });
});
