import {
  buildSchema,
  execute as executeOfGraphqlJs,
  type GraphQLObjectType,
  type GraphQLScalarType,
  type GraphQLSchema,
  parse,
  subscribe as subscribeOfGraphqlJs,
  validate,
} from 'graphql';
import { describe, expect, test } from 'vitest';
import { execute, subscribe } from './execute.ts';

/** A deterministic source of numbers in [0, 1). */
function randomness(seed: number) {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

function createSchema(): GraphQLSchema {
  const schema = buildSchema(`
    interface Named { name: String! }
    interface Sized implements Named { name: String! size: Int }
    scalar Odd
    enum Color { RED GREEN }
    input Filter { first: Int = 2, color: Color }
    type Cat implements Named { name: String! lives: Int! mood: Color friend: Named toys(first: Int! = 1, filter: Filter): [Toy!] }
    type Dog implements Named & Sized { name: String! size: Int odd: Odd friends: [Named] pack: [[Dog!]]! owner: Person! }
    type Toy { id: ID! label(upper: Boolean): String price: Float broken: Boolean }
    type Person { id: ID! name: String! pets: [Pet!]! best: Pet lazy: Person! fails: String! }
    union Pet = Cat | Dog
    type Query { person(id: ID): Person pet(kind: String!): Pet named: [Named!] people: [Person] never: String! echo(filter: Filter): String }
    type Mutation { add(by: Int!): Int! fail: String slow(by: Int!): Int! }
    type Subscription { ticks: Int! }
  `);
  const type = (name: string) => schema.getType(name) as GraphQLObjectType;
  const field = (parent: string, name: string, resolve: unknown, more = {}) =>
    Object.assign(type(parent).getFields()[name] as object, { resolve, ...more });
  (schema.getType('Odd') as GraphQLScalarType).serialize = (value) => {
    if (value === 'bad') throw new Error('not odd');
    return value === 'nothing' ? undefined : value;
  };
  for (const name of ['Named', 'Sized', 'Pet'])
    Object.assign(schema.getType(name) as object, {
      resolveType: ({ kind }: { kind: string }) => (kind === 'late' ? Promise.resolve('Cat') : kind),
    });
  Object.assign(type('Dog'), { isTypeOf: ({ kind }: { kind: string }) => Promise.resolve(kind === 'Dog') });
  const dog = (name: string) => ({ kind: 'Dog', name, size: 3, odd: name === 'Rex' ? 'bad' : 5 });
  const cat = (name: string) => ({ kind: 'Cat', name, lives: 9, mood: 'RED', friend: dog('Rex') });
  field('Cat', 'toys', (_: unknown, { first, filter }: { first: number; filter?: { first: number } }) =>
    Array.from({ length: first + (filter?.first ?? 0) }, (_each, id) => ({ id, label: `toy ${id}`, price: id / 2 })),
  );
  field('Toy', 'label', async ({ id }: { id: number }, { upper }: { upper?: boolean }) => {
    if (id === 1) throw new Error('no label');
    return upper ? 'LABEL' : 'label';
  });
  field('Toy', 'price', undefined, { extensions: { directRead: { property: 'price' } } });
  field('Dog', 'friends', () => [cat('Tom'), null, Promise.resolve(dog('Ida')), new Error('lost'), { kind: 'Nobody' }]);
  field('Dog', 'pack', () => [[dog('A')], Promise.resolve([dog('B'), cat('not a dog')])]);
  field('Dog', 'owner', async () => ({ id: 1, name: 'Ann' }));
  field('Person', 'pets', () => [cat('Tom'), dog('Rex'), { ...cat('Late'), kind: 'late' }]);
  field('Person', 'best', () => Promise.reject(new Error('no pet')));
  field('Person', 'lazy', (parent: object) => Promise.resolve({ ...parent, name: () => 'from a method' }));
  field('Person', 'fails', () => {
    throw new Error('fails');
  });
  field('Query', 'person', (_: unknown, { id }: { id?: string }) => (id === '0' ? null : { id: id ?? 7, name: 'Ann' }));
  field('Query', 'pet', (_: unknown, { kind }: { kind: string }) => ({ ...dog('Rex'), ...cat('Tom'), kind }));
  field('Query', 'named', () => [dog('Ida'), cat('Tom')]);
  field('Query', 'people', () => new Set([{ id: 1, name: 'Ann' }, { id: 2 }, Promise.reject(new Error('gone'))]));
  field('Query', 'never', () => null);
  field('Query', 'echo', (_: unknown, args: object) => JSON.stringify(args));
  const count = (context: { count: number }, by: number) => {
    context.count += by;
    return context.count;
  };
  field('Mutation', 'add', (_: unknown, { by }: { by: number }, context: { count: number }) => count(context, by));
  field('Mutation', 'slow', async (_: unknown, { by }: { by: number }, context: { count: number }) => {
    await Promise.resolve();
    return count(context, by);
  });
  field('Mutation', 'fail', async () => Promise.reject(new Error('fails')));
  return schema;
}

const schema = createSchema();

interface Reported {
  message: string;
  path?: (string | number)[];
}

/** Shortens messages about mistakes of the server, which graphql-js words with the values. */
const withoutDetail = (error: Reported): Reported => ({
  ...error,
  message: error.message
    .replace(/^(Abstract type|Runtime Object type) .*$/, 'unresolved type')
    .replace(/^(Expected value of type "\w+"|Expected [^ ]*serialize).*$/, '$1'),
});

/**
 * Returns whether an error is reported in any case: its place is in the data. Whether an error below a value that became
 * null is reported depends on when its field ended.
 */
function isInData(data: unknown, { path = [] }: Reported): boolean {
  let value = data;
  for (const key of path.slice(0, -1)) value = (value as Record<string, unknown> | null)?.[key];
  return value !== null && value !== undefined;
}

/** Returns both results as a client would receive them. The order of errors is not defined. */
async function both(source: string, variableValues: Record<string, unknown> = {}, operationName?: string) {
  const document = parse(source);
  expect(validate(schema, document)).toEqual([]);
  const run = async (by: typeof execute) => {
    const contextValue = { count: 0 };
    const result = await by({ schema, document, variableValues, contextValue, operationName });
    const { errors, data } = JSON.parse(JSON.stringify(result));
    const sorted = (errors as Reported[] | undefined)
      ?.filter((error) => isInData(data, error))
      .map((error) => JSON.stringify(withoutDetail(error)))
      .sort();
    return {
      hasErrors: errors !== undefined,
      errors: sorted,
      data,
      text: JSON.stringify(data),
      count: contextValue.count,
    };
  };
  return { ours: await run(execute), expected: await run(executeOfGraphqlJs) };
}

const cases: Record<string, string> = {
  'aliases and merged selections': `{ a: person { name } person { id } person { name lazy { id } } }`,
  'an alias with a special name': `{ __proto__: person { __proto__: name constructor: id } }`,
  'fragments on interfaces and unions': `
    { person { pets { __typename ... on Named { name } ...D ... on Cat { lives mood toys { id label } } } } }
    fragment D on Dog { size odd owner { name } friends { name __typename } }`,
  'null in place of a failed nullable field': `{ person { best { __typename } name } }`,
  'the nearest nullable value in place of a failed non-null field': `{ person { name lazy { fails } } people { fails } }`,
  'no data when the root fails': `{ never person { name } }`,
  'lists of lists, promises and errors': `{ named { name ... on Dog { friends { name } pack { name } } } people { id name } }`,
  'a type that cannot be resolved': `{ pet(kind: "Toy") { __typename } }`,
  'default arguments': `{ person { pets { ... on Cat { toys(filter: {}) { id price broken } } } } echo(filter: { color: RED }) }`,
  introspection: `{ __typename __type(name: "Cat") { name fields { name } } __schema { queryType { name } } }`,
  'mutations in their order': `mutation { a: slow(by: 1) b: add(by: 10) fail c: slow(by: 100) }`,
};

describe('the executor returns the same as graphql-js', () => {
  for (const [name, source] of Object.entries(cases))
    test(name, async () => {
      const { ours, expected } = await both(source);
      expect(ours).toEqual(expected);
    });

  test('for each value of the variables of directives', async () => {
    const source = `query ($a: Boolean!, $b: Boolean = true) {
      person @include(if: $a) { name id @skip(if: $b) }
      named { name @include(if: $b) ... on Dog @skip(if: $a) { size } __typename }
    }`;
    for (const variables of [{ a: true }, { a: false }, { a: true, b: false }, { a: true }, { a: false, b: false }]) {
      const { ours, expected } = await both(source, variables);
      expect(ours).toEqual(expected);
    }
  });

  test('for invalid variables, and for names of operations', async () => {
    const source = 'query A($f: Filter) { echo(filter: $f) } query B { person(id: 0) { id } }';
    for (const [variables, name] of [
      [{ f: { first: 'x', color: 'BLUE', more: 1 } }, 'A'],
      [{ f: { first: 5 } }, 'A'],
      [{}, 'B'],
      [{}, 'C'],
      [{}, undefined],
    ] as const) {
      const { ours, expected } = await both(source, variables, name);
      expect(ours).toEqual(expected);
    }
  });

  test('for 500 random operations', async () => {
    const random = randomness(7);
    const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
    const selections: Record<string, (depth: number) => string> = {
      Person: (depth) =>
        some(['id', 'name', 'fails', below('best', 'Pet'), below('pets', 'Pet'), below('lazy', 'Person')], depth),
      Pet: (depth) =>
        some(
          ['__typename', below('... on Cat', 'Cat'), below('... on Dog', 'Dog'), below('... on Named', 'Named')],
          depth,
        ),
      Named: (depth) => some(['name', '__typename', below('... on Cat', 'Cat')], depth),
      Cat: (depth) =>
        some(
          [
            'name',
            'lives',
            'mood',
            below('friend', 'Named'),
            below('toys(first: 2)', 'Toy'),
            below('toys', 'Toy'),
          ].slice(0, 5),
          depth,
        ),
      Dog: (depth) =>
        some(['name', 'size', 'odd', below('friends', 'Named'), below('pack', 'Dog'), below('owner', 'Person')], depth),
      Toy: (depth) => some(['id', 'label', 'price', 'broken', 'upper: label(upper: true)'], depth),
    };
    const below = (text: string, type: string) => (depth: number) => `${text} { ${selections[type]?.(depth - 1)} }`;
    type Part = string | ((depth: number) => string);
    const some = (parts: readonly Part[], depth: number): string => {
      const usable = depth > 0 ? parts : parts.filter((part) => typeof part === 'string');
      const chosen = Array.from({ length: 1 + Math.floor(random() * 4) }, () =>
        pick(usable.length > 0 ? usable : ['__typename']),
      );
      return chosen.map((part) => (typeof part === 'string' ? part : part(depth))).join(' ');
    };
    const roots = [
      below('person', 'Person'),
      below('people', 'Person'),
      below('named', 'Named'),
      below('cat: pet(kind: "Cat")', 'Pet'),
    ];
    for (let round = 0; round < 500; round++) {
      const source = `{ ${pick(roots)(4)} ${pick(roots)(3)} }`;
      const { ours, expected } = await both(source);
      expect(ours, source).toEqual(expected);
    }
  });

  test('for each event of a subscription, and for one that fails', async () => {
    const document = parse('subscription { ticks }');
    for (const events of [[1, 2, 3], [1, 'x', 3], null]) {
      const field = schema.getSubscriptionType()?.getFields().ticks as object;
      Object.assign(field, {
        resolve: undefined,
        subscribe: () => {
          if (!events) throw new Error('no ticks');
          return (async function* () {
            for (const ticks of events) yield { ticks };
          })();
        },
      });
      const collect = async (by: typeof subscribe) => {
        const results: unknown[] = [];
        const stream = await by({ schema, document });
        if (!(Symbol.asyncIterator in stream)) return JSON.parse(JSON.stringify(stream));
        for await (const result of stream) results.push(JSON.parse(JSON.stringify(result)));
        return results;
      };
      expect(await collect(subscribe)).toEqual(await collect(subscribeOfGraphqlJs as typeof subscribe));
    }
  });
});

test('a field that is read directly calls neither its resolver nor a promise, and reports what `onRead` throws', async () => {
  const reads: unknown[] = [];
  const field = schema.getType('Toy') as GraphQLObjectType;
  Object.assign(field.getFields().price as object, {
    resolve: () => {
      throw new Error('called');
    },
    extensions: {
      directRead: {
        property: 'price',
        convert: (value: number) => value * 10,
        onRead: (value: number) => {
          reads.push(value);
          if (value === 0.5) throw new Error('too much');
        },
      },
    },
  });
  const document = parse('{ pet(kind: "Cat") { ... on Cat { toys(first: 3) { price } } } }');
  const result = await execute({ schema, document, contextValue: {} });
  expect(JSON.parse(JSON.stringify(result))).toMatchObject({
    data: { pet: { toys: [{ price: 0 }, { price: null }, { price: 10 }] } },
    errors: [{ message: 'too much', path: ['pet', 'toys', 1, 'price'] }],
  });
  expect(reads).toEqual([0, 0.5, 1]);
});
