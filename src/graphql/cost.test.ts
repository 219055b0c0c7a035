import { buildSchema, type GraphQLObjectType, getOperationAST, getVariableValues, parse, validate } from 'graphql';
import { describe, expect, it } from 'vitest';
import { costOf } from './cost.ts';
import { unsizedLists } from './plugins/list-size.ts';
import { schema } from './schema.ts';

/** Returns the cost of an operation against this server’s schema. */
function cost(query: string, variables: Record<string, unknown> = {}, operationName?: string): number {
  const document = parse(query);
  expect(validate(schema, document)).toEqual([]);
  const operation = getOperationAST(document, operationName);
  if (!operation) throw new Error('the document has several operations');
  const { coerced, errors } = getVariableValues(schema, operation.variableDefinitions ?? [], variables);
  if (!coerced) throw new Error(errors.join('; '));
  return costOf({ schema, document, operation, variableValues: coerced });
}

const messages = 'role text citations { number } files { name } feedback { rating } usage { inputTokens }';

describe('the cost of an operation', () => {
  it.each<[string, number, string, Record<string, unknown>?]>([
    ['is 0 for scalars and introspection', 0, '{ __typename __schema { types { name fields { name } } } }'],
    ['is 1 for an object, however many of its fields are selected', 1, '{ viewer { __typename role permissions } }'],
    ['counts the default page of 20', 21, '{ agents { nodes { name } } }'],
    ['counts `first` as a literal', 6, '{ agents(first: 5) { nodes { name } } }'],
    ['counts at most a page of 100', 101, '{ agents(first: 1000000) { nodes { name } } }'],
    ['counts `first` as a variable', 8, 'query ($n: Int) { agents(first: $n) { nodes { name } } }', { n: 7 }],
    ['counts the default of a variable', 31, 'query ($n: Int = 30) { agents(first: $n) { nodes { name } } }'],
    [
      'counts a variable that is absent as the default page',
      21,
      'query ($n: Int) { agents(first: $n) { nodes { id } } }',
    ],
    ['counts null as the default page', 21, 'query ($n: Int) { agents(first: $n) { nodes { id } } }', { n: null }],
    ['counts 0 for a page of no items', 1, '{ agents(first: 0) { nodes { documents { nodes { id } } } } }'],
    ['counts 0 for a page of less', 1, '{ agents(first: -5) { nodes { id } } }'],
    [
      'does not count edges and pageInfo',
      11,
      '{ agents(first: 10) { edges { cursor node { id } } pageInfo { endCursor } } }',
    ],
    [
      'counts nodes and edges, since both are resolved',
      21,
      '{ agents(first: 10) { nodes { id } edges { node { id } } } }',
    ],
    ['multiplies lists within lists', 1 + 20 * (1 + 1 + 20), '{ agents { nodes { documents { nodes { id } } } } }'],
    [
      'counts the declared size of a list without pages',
      1 + 2 * (1 + 5),
      '{ agents(first: 2) { nodes { labels { name } } } }',
    ],
    ['counts aliases', 2 * 21, '{ a: agents { nodes { id } } b: agents { nodes { id } } }'],
    ['counts a field that is selected twice once', 21, '{ agents { nodes { id } } agents { nodes { name } } }'],
    [
      'counts a field that two fragments select once',
      21,
      '{ ...A ...B } fragment A on Query { agents { nodes { id } } } fragment B on Query { agents { nodes { name } } }',
    ],
    ['counts the ids of nodes', 3, '{ nodes(ids: ["QWdlbnQ6MA==", "QWdlbnQ6MQ==", "QWdlbnQ6Mg=="]) { id } }'],
    ['counts the ids of a variable', 2, 'query ($ids: [ID!]!) { nodes(ids: $ids) { id } }', { ids: ['a', 'b'] }],
    [
      'counts the most expensive type of an interface',
      1 + 21,
      '{ node(id: "x") { ... on Agent { documents { nodes { id } } } ... on File { name } ... on Document { agents { totalCount } } } }',
    ],
    [
      'counts the sessions that a search asks for',
      1 + 30,
      '{ chatSessions(filter: { search: "x" }, first: 30) { nodes { id } } }',
    ],
    ['counts the passages that a search asks for', 10, '{ search(query: "x") { text } }'],
    ['counts what an agent may find', 100, '{ search(query: "x", agent: { slug: "y" }) { text } }'],
    ['does not count what is skipped', 1, '{ viewer { role } agents @skip(if: true) { nodes { id } } }'],
    [
      'does not count what a variable leaves out',
      1,
      'query ($all: Boolean = false) { viewer { role } agents @include(if: $all) { nodes { id } } }',
    ],
    [
      'allows a full page of messages with citations, files, feedback and usage',
      2 + 100 * (1 + 10 + 5 + 1 + 1),
      `{ chatSession(id: "00000000-0000-4000-8000-000000000000") { messages(first: 100) { nodes { ${messages} } } } }`,
    ],
  ])('%s', (_name, expected, query, variables) => {
    expect(cost(query, variables)).toBe(expected);
  });

  it('counts only the executed operation and the fragments it uses', () => {
    const document = `
      query Small { viewer { role } }
      query Large { agents(first: 100) { nodes { ...Deep } } }
      fragment Deep on Agent { documents(first: 100) { nodes { id } } }`;
    expect(cost(document, {}, 'Small')).toBe(1);
    expect(cost(document, {}, 'Large')).toBe(1 + 100 * (1 + 1 + 100));
  });

  it('is computed in linear time for fragments that spread each other twice', () => {
    const levels = Array.from(
      { length: 60 },
      (_, i) => `fragment F${i} on Query { ...F${i + 1} ... on Query { ...F${i + 1} } }`,
    );
    expect(cost(`{ ...F0 } ${levels.join(' ')} fragment F60 on Query { viewer { role } }`)).toBe(1);
  });

  it('exceeds the limit for nested agents and documents that refer to each other', () => {
    const nested = (levels: number): string =>
      levels === 0 ? 'id' : `documents { nodes { agents { nodes { ${nested(levels - 1)} } } } }`;
    expect(cost(`{ agents(filter: { editable: true }) { nodes { ${nested(1)} } } }`)).toBeGreaterThan(5000);
    expect(cost(`{ agents(filter: { editable: true }) { nodes { ${nested(2)} } } }`)).toBeGreaterThan(1_000_000);
  });
});

describe('the sizes of lists', () => {
  it('are known for each list of objects in the schema', () => {
    expect(unsizedLists(schema)).toEqual([]);
  });

  it('are reported as missing for a list without a page, a declared size or a field that defines it', () => {
    const other = buildSchema(`
      type Query { things: [Thing!]! paged(first: Int): [Thing!]! page(first: Int): ThingConnection! words: [String!]! sized: [Thing!]! }
      type ThingConnection { nodes: [Thing!]! edges: [ThingEdge!]! others: [Thing!]! }
      type ThingEdge { node: Thing! }
      type Thing { id: ID! parts: [Thing!] }`);
    const query = other.getQueryType() as GraphQLObjectType;
    Object.assign(query.getFields().sized ?? {}, { extensions: { listSize: 3 } });
    expect(unsizedLists(other)).toEqual(['Query.things', 'ThingConnection.others', 'Thing.parts']);
  });
});
