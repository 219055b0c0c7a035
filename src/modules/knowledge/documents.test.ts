import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kit, startKit } from '../../../test/kit.ts';

/** Documents with equal titles and times, so that only the integer ID decides their order. */
const titles = ['Auk', 'Bee', 'Auk', 'Cat 100%', 'Bee', 'auk_small', 'Bee'] as const;
const early = new Date('2026-01-01T00:00:00Z');
const late = new Date('2026-02-01T00:00:00Z');

interface Row {
  id: number;
  title: string;
  updatedAt: Date;
}

let kit: Kit;
let rows: Row[];
beforeAll(async () => {
  kit = await startKit();
  await kit.prisma.document.deleteMany();
  for (const [index, title] of titles.entries())
    await kit.gql('mutation ($input: IngestDocumentInput!) { ingestDocument(input: $input) { alreadyExisted } }', {
      input: { documentId: `doc-${index}`, title, sections: [{ text: `Text ${index}` }] },
    });
  rows = await kit.prisma.document.findMany({
    orderBy: { id: 'asc' },
    select: { id: true, title: true, updatedAt: true },
  });
  for (const [index, row] of rows.entries()) {
    row.updatedAt = index % 2 === 0 ? early : late;
    await kit.prisma.document.update({ where: { id: row.id }, data: { updatedAt: row.updatedAt } });
  }
});
afterAll(() => kit?.close());

const query = `query ($filter: DocumentFilter, $orderBy: DocumentOrder, $first: Int, $after: String, $last: Int, $before: String) {
  documents(filter: $filter, orderBy: $orderBy, first: $first, after: $after, last: $last, before: $before) {
    totalCount
    nodes { databaseId }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}`;
async function page(variables: object) {
  const { data, errors } = await kit.gql(query, variables);
  expect(errors).toEqual([]);
  const { nodes, ...rest } = data.documents;
  return { ids: nodes.map(({ databaseId }: { databaseId: number }) => databaseId) as number[], ...rest };
}

describe('`documents` with `orderBy`', () => {
  /** Compares by the field; equal rows are in the order of their integer IDs. */
  const compare: Record<string, (a: Row, b: Row) => number> = {
    CREATED_AT: () => 0,
    UPDATED_AT: (a, b) => a.updatedAt.getTime() - b.updatedAt.getTime(),
    TITLE: (a, b) => Number(a.title > b.title) - Number(a.title < b.title),
  };
  const cases = Object.keys(compare).flatMap((field) =>
    ['ASC', 'DESC'].map((direction) => [field, direction] as const),
  );

  it.each(cases)('returns the same rows forwards and backwards, page by page, by %s %s', async (field, direction) => {
    const sorted = rows.toSorted((a, b) => compare[field]?.(a, b) || a.id - b.id).map(({ id }) => id);
    const expected = direction === 'ASC' ? sorted : sorted.toReversed();
    const orderBy = { field, direction };
    expect((await page({ orderBy, first: 100 })).ids).toEqual(expected);

    const forwards: number[][] = [];
    let after: string | null = null;
    do {
      const { ids, pageInfo, totalCount } = await page({ orderBy, first: 2, after });
      expect(totalCount).toBe(rows.length);
      expect(pageInfo.hasPreviousPage).toBe(forwards.length > 0);
      forwards.push(ids);
      after = pageInfo.hasNextPage ? pageInfo.endCursor : null;
    } while (after);
    expect(forwards.map(({ length }) => length)).toEqual([2, 2, 2, 1]);
    expect(forwards.flat()).toEqual(expected);

    const backwards: number[][] = [];
    let before: string | null = null;
    do {
      const { ids, pageInfo } = await page({ orderBy, last: 2, before });
      expect(pageInfo.hasNextPage).toBe(backwards.length > 0);
      backwards.unshift(ids);
      before = pageInfo.hasPreviousPage ? pageInfo.startCursor : null;
    } while (before);
    expect(backwards.map(({ length }) => length)).toEqual([1, 2, 2, 2]);
    expect(backwards.flat()).toEqual(expected);
  });

  it('rejects a cursor of another order', async () => {
    const { pageInfo } = await page({ orderBy: { field: 'TITLE', direction: 'ASC' }, first: 2 });
    for (const orderBy of [
      { field: 'TITLE', direction: 'DESC' },
      { field: 'UPDATED_AT', direction: 'ASC' },
    ]) {
      const { errors } = await kit.gql(query, { orderBy, first: 2, after: pageInfo.endCursor });
      expect(errors[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', fields: [{ path: ['after'] }] });
    }
  });
});

describe('`documents` with `filter.search`', () => {
  const found = async (search: string) => {
    const { ids, totalCount } = await page({ filter: { search }, orderBy: { field: 'CREATED_AT' }, first: 100 });
    expect(totalCount).toBe(ids.length);
    return ids.map((id: number) => rows.findIndex((row) => row.id === id));
  };

  it.each([
    ['ignores case', 'AUK', [0, 2, 5]],
    ['finds a part of a word', 'at', [3]],
    ['reads % as text', '%', [3]],
    ['reads _ as text', '_', [5]],
    ['returns no documents without a match', 'dog', []],
    ['does not search the text of the documents', 'Text', []],
  ])('%s', async (_behavior, search, expected) => {
    expect(await found(search)).toEqual(expected);
  });

  it('can be paginated together with an order', async () => {
    const variables = { filter: { search: 'bee' }, orderBy: { field: 'TITLE', direction: 'DESC' } };
    const first = await page({ ...variables, first: 2 });
    const rest = await page({ ...variables, first: 2, after: first.pageInfo.endCursor });
    expect([first.totalCount, rest.totalCount]).toEqual([3, 3]);
    expect([...first.ids, ...rest.ids]).toEqual([rows[6]?.id, rows[4]?.id, rows[1]?.id]);
  });

  it('rejects a text of more than 200 characters', async () => {
    const { errors } = await kit.gql(query, { filter: { search: 'x'.repeat(201) } });
    expect(errors[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', fields: [{ path: ['filter', 'search'] }] });
  });
});

describe('`document(id:)`', () => {
  const document = (id: unknown, key?: string | null) =>
    kit.gql('query ($id: ID!) { document(id: $id) { id documentId databaseId title } }', { id }, key);
  const globalId = async () => (await document('doc-0')).data.document.id as string;

  it('finds a document by its global ID and by its `documentId`', async () => {
    const expected = { id: await globalId(), documentId: 'doc-0', databaseId: rows[0]?.id, title: 'Auk' };
    expect((await document('doc-0')).data.document).toEqual(expected);
    expect((await document(expected.id)).data.document).toEqual(expected);
  });

  it.each([
    ['an unknown `documentId`', 'doc-99'],
    ['an integer, since a document is identified by text', 1],
    ['a text of 10,000 characters', 'x'.repeat(10_000)],
    ['a global ID of an unknown document', Buffer.from('Document:999999').toString('base64')],
    ['a global ID with an integer that is out of range', Buffer.from('Document:99999999999').toString('base64')],
  ])('returns NOT_FOUND for %s', async (_kind, id) => {
    const { data, errors } = await document(id);
    expect([data.document, errors[0]?.extensions.code]).toEqual([null, 'NOT_FOUND']);
  });

  it.each([
    ['the global ID of another type', Buffer.from('Agent:1').toString('base64')],
    ['an empty text', ''],
  ])('returns BAD_USER_INPUT for %s', async (_kind, id) => {
    const { errors } = await document(id);
    expect(errors[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', fields: [{ path: ['id'] }] });
  });

  it('returns the same NOT_FOUND for the private document of another user as for an unknown one', async () => {
    const owner = await kit.createKey('BASIC');
    const project = await kit.gql(
      'mutation { createProject(input: { name: "own" }) { project { databaseId } } }',
      {},
      owner.secret,
    );
    const added = await kit.gql(
      'mutation ($input: AddProjectDocumentInput!) { addProjectDocument(input: $input) { document { id documentId } } }',
      {
        input: {
          projectId: project.data.createProject.project.databaseId,
          title: 'Private',
          sections: [{ text: 'secret' }],
        },
      },
      owner.secret,
    );
    const { id, documentId } = added.data.addProjectDocument.document;
    const other = await kit.createKey('BASIC');
    const unknown = await document('doc-99', other.secret);
    for (const name of [id, documentId]) {
      expect((await document(name, owner.secret)).data.document.title).toBe('Private');
      const { data, errors } = await document(name, other.secret);
      expect(data.document).toBeNull();
      expect(errors[0]?.message).toBe(unknown.errors[0]?.message);
      expect(errors[0]?.extensions).toEqual(unknown.errors[0]?.extensions);
    }
  });
});
