import fc, { type GeneratorValue } from 'fast-check';
import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLObjectType,
  getNamedType,
  getNullableType,
  isAbstractType,
  isCompositeType,
  isEnumType,
  isInputObjectType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
} from 'graphql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isPermission, rolePermissions } from '../../src/authz/permissions.ts';
import { isPaged } from '../../src/graphql/plugins/list-size.ts';
import { requirementsOf } from '../../src/graphql/plugins/permissions.ts';
import { schema } from '../../src/graphql/schema.ts';
import { api, build, keyIn, killAll, start, storage } from './latchkey.ts';

/** These requests are slow, and their duration depends on the machine. */
const patient = { timeout: 120_000 };

/** A server with little memory, and a client whose key has the lowest role that can read lists. */
let store: Awaited<ReturnType<typeof storage>>;
let server: Awaited<ReturnType<typeof start>>;
let admin: ReturnType<typeof api>;
let client: ReturnType<typeof api>;

interface Outcome {
  status: number;
  body: { data?: unknown; errors?: { message: string; extensions: Record<string, unknown> }[]; extensions?: any };
}

async function post(query: string, variables: object = {}, by = client): Promise<Outcome> {
  const response = await by.call('POST', '/graphql', { query, variables });
  return { status: response.status, body: (await response.json()) as Outcome['body'] };
}

beforeAll(async () => {
  [store] = await Promise.all([storage(), build()]);
  server = await start({ ...store.environment, NODE_OPTIONS: '--max-old-space-size=400', LOG_LEVEL: 'error' });
  admin = api(server.url, keyIn(server));
  const create = 'mutation { createApiKey(input: { name: "client", role: BASIC }) { secret } }';
  const { data } = (await post(create, {}, admin)).body as { data: { createApiKey: { secret: string } } };
  client = api(server.url, data.createApiKey.secret);
  const { body } = await post('{ search(query: "Latchkey", first: 100) { documentId } }');
  const hits = (body.data as { search: { documentId: string }[] }).search;
  const documentIds = [...new Set(hits.map(({ documentId }) => documentId))];
  expect(documentIds.length).toBeGreaterThanOrEqual(2);
  const starterMessages = Array.from({ length: 50 }, (_, i) => ({ name: `${i}`, message: 'x'.repeat(500) }));
  for (let i = 0; i < 16; i++) {
    const input = { name: `agent ${i}`, systemPrompt: 'x'.repeat(50_000), documentIds, starterMessages };
    const made = await post(
      'mutation ($input: CreateAgentInput!) { createAgent(input: $input) { agent { databaseId } } }',
      { input },
    );
    expect(made.body.errors).toBeUndefined();
  }
});
afterAll(async () => {
  await killAll();
  await store?.drop();
});

/** Asserts that the server is healthy: its process is running and answers requests. */
async function expectAlive(): Promise<void> {
  const health = await fetch(`${server.url}/health`);
  expect([health.status, server.process.exitCode]).toEqual([200, null]);
}

async function metric(name: string): Promise<number> {
  const text = await (await admin.call('GET', '/metrics')).text();
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
}

const page = (levels: number, args = ''): string =>
  levels === 0 ? 'id' : `documents${args} { nodes { agents${args} { nodes { ${page(levels - 1, args)} } } } }`;

describe('DOS 2: lists that reference each other', patient, () => {
  it.each<[string, string, object?]>([
    [
      'without pages, as they were',
      '{agents(filter:{editable:true}){nodes{documents{agents{documents{agents{documents{agents{documents{id}}}}}}}}}}',
    ],
    ['with the default page', `{ agents(filter: { editable: true }) { nodes { ${page(2)} } } }`],
    ['with a literal page', `{ agents(filter: { editable: true }) { nodes { ${page(2, '(first: 16)')} } } }`],
    [
      'DOS 1: with a variable',
      `query ($n: Int) { agents(filter: { editable: true }) { nodes { ${page(2, '(first: $n)')} } } }`,
      { n: 100 },
    ],
    [
      'DOS 1: with the default of a variable',
      `query ($n: Int = 100) { agents(filter: { editable: true }) { nodes { ${page(2, '(first: $n)')} } } }`,
    ],
    ['backwards', `{ agents(filter: { editable: true }) { nodes { ${page(2, '(last: 100)')} } } }`],
  ])('%s are rejected before execution, and the server stays responsive', async (_name, query, variables) => {
    const { status, body } = await post(query, variables);
    expect(body.data).toBeUndefined();
    expect(body.errors?.[0]?.extensions.code).toMatch(/^(BAD_USER_INPUT|GRAPHQL_VALIDATION_FAILED)$/);
    if (!query.includes('{documents{agents{'))
      expect([status, body.errors?.[0]?.extensions.limit]).toEqual([400, 'cost']);
    await expectAlive();
  });

  it('DOS 3: are resolved within the limits when many requests arrive concurrently', async () => {
    const query =
      'query ($n: Int!) { agents(first: 100) { nodes { systemPrompt documents(first: $n) { nodes { title agents(first: $n) { nodes { name } } } } } } }';
    const answers = await Promise.all(Array.from({ length: 10 }, () => post(query, { n: 5 })));
    for (const { status, body } of answers) {
      expect(status).toBe(200);
      expect(body.errors).toBeUndefined();
    }
    await expectAlive();
    const many = `{ agents(first: 50) { nodes { ${'abcdefghijklmno'.split('').map((alias) => `${alias}: starterMessages { message }`)} } } }`;
    const stopped = await Promise.all(Array.from({ length: 10 }, () => post(many)));
    for (const { body } of stopped) expect(body.errors?.[0]?.extensions.limit).toBe('nodes');
    await expectAlive();
  });
});

describe('DOS 4: request bodies', patient, () => {
  it('leave the server responsive when many that are expensive to parse arrive concurrently', async () => {
    const keys = Array.from({ length: 150_000 }, (_, i) => `"${i}":1`).join();
    const bodies = [
      `{"query":"{viewer{id}}","variables":{${keys}}}`,
      `{"query":"{viewer{id}}","variables":{"a":[${'{},'.repeat(600_000)}{}]}}`,
      '['.repeat(2_000_000),
      `{"query":"{viewer{id}}","variables":{"a":"${'\\u0000'.repeat(300_000)}"}}`,
    ];
    const send = (body: string, headers: Record<string, string>) =>
      fetch(`${server.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body,
      }).then(async (response) => [response.status, await response.text()] as const);
    const authorization = `Bearer ${client.key}`;
    const answers = await Promise.all(
      bodies
        .flatMap((body) =>
          Array.from({ length: 8 }, () => [
            send(body, { authorization }),
            send(body, {}),
            send(body.slice(0, 1_000_000), {}),
          ]),
        )
        .flat(),
    );
    for (const [status] of answers) expect([200, 400, 413]).toContain(status);
    await expectAlive();
  });
});

/** Returns whether the client’s key has permission to read a field. */
const isReadable = (field: GraphQLField<unknown, unknown>): boolean =>
  requirementsOf(field).every((each) => !isPermission(each) || rolePermissions('BASIC').has(each));

/** Builds a random operation and its variables from generated values. */
class QueryBuilder {
  private readonly definitions: string[] = [];
  readonly variables: Record<string, unknown> = {};
  private readonly fragments: string[] = [];
  private aliases = 0;
  /** Number of fields that can still be added to the operation. */
  private left = 120;

  constructor(private readonly draw: GeneratorValue) {}

  private oneOf<T>(...values: T[]): T {
    return values[this.draw(fc.nat, values.length - 1)] as T;
  }

  document(): string {
    const body = this.selection(schema.getQueryType() as GraphQLObjectType, this.oneOf(3, 5, 7, 9, 11));
    const variables = this.definitions.length > 0 ? `(${this.definitions})` : '';
    return `query ${variables} ${body} ${this.fragments.join(' ')}`;
  }

  private selection(type: GraphQLObjectType, levels: number): string {
    const anything = this.oneOf(false, false, false, false, true);
    const fields = Object.values(type.getFields()).filter((field) => anything || isReadable(field));
    const objects = fields.filter(({ type }) => isCompositeType(getNamedType(type)));
    // Lists are added twice, so that they are chosen more often than other objects.
    objects.push(...objects.filter((field) => isPaged(field) || isListType(getNullableType(field.type))));
    const texts = fields.filter(({ type }) => isLeafType(getNamedType(type)));
    const chosen = ['__typename'];
    for (let i = this.oneOf(0, 1, 2); i > 0 && texts.length > 0; i--) chosen.push(this.field(this.oneOf(...texts), 0));
    for (let i = this.oneOf(1, 1, 2, 3); i > 0 && levels > 1 && objects.length > 0; i--)
      chosen.push(this.field(this.oneOf(...objects), levels - 1));
    return `{ ${chosen.filter(Boolean).join(' ')} }`;
  }

  private field(field: GraphQLField<unknown, unknown>, levels: number): string {
    if (this.left-- <= 0) return '';
    const args = field.args.flatMap((argument) => this.argument(argument));
    const alias = this.aliases < 14 && this.oneOf(false, false, false, false, true) ? `a${this.aliases++}: ` : '';
    const named = getNamedType(field.type);
    let below = '';
    if (isObjectType(named)) {
      below = this.selection(named, levels);
      if (this.oneOf(false, false, false, true)) {
        const name = `F${this.fragments.length}`;
        this.fragments.push(`fragment ${name} on ${named.name} ${below}`);
        below = `{ ...${name} __typename ...${name} }`;
      }
    } else if (isAbstractType(named)) {
      const types = schema.getPossibleTypes(named);
      const parts = [this.oneOf(...types), this.oneOf(...types)].map(
        (type) => `... on ${type.name} ${this.selection(type, levels)}`,
      );
      below = `{ __typename ${parts.join(' ')} }`;
    }
    return `${alias}${field.name}${args.length > 0 ? `(${args})` : ''} ${below}`;
  }

  private argument({ name, type, defaultValue }: GraphQLArgument): string[] {
    if (name === 'first' || name === 'last') {
      const size = this.oneOf(1, 2, 5, 20, 50, 100, 100, 1_000_000, 2_147_483_647, 0);
      // `first` and `last` cannot be combined.
      const how =
        name === 'last'
          ? this.oneOf('none', 'none', 'none', 'none', 'literal')
          : this.oneOf('none', 'literal', 'variable', 'default', 'absent');
      const variable = `v${this.definitions.length}`;
      if (how === 'none') return [];
      if (how === 'literal') return [`${name}: ${size}`];
      this.definitions.push(`$${variable}: Int${how === 'default' ? ` = ${size}` : ''}`);
      if (how === 'variable') this.variables[variable] = size;
      return [`${name}: $${variable}`];
    }
    if (!isNonNullType(type) || defaultValue !== undefined) return [];
    return [`${name}: ${this.literal(type)}`];
  }

  private literal(type: GraphQLInputType): string {
    if (isNonNullType(type)) return this.literal(type.ofType);
    if (isListType(type)) return `[${Array.from({ length: this.oneOf(1, 3, 100) }, () => this.literal(type.ofType))}]`;
    if (isEnumType(type)) return this.oneOf(...type.getValues()).name;
    if (isInputObjectType(type)) {
      const fields = Object.values(type.getFields());
      const needed = type.isOneOf ? [this.oneOf(...fields)] : fields.filter(({ type }) => isNonNullType(type));
      return `{${needed.map((field) => `${field.name}: ${this.literal(field.type)}`)}}`;
    }
    switch (type.name) {
      case 'ID':
        return JSON.stringify(Buffer.from(`Agent:${this.oneOf(0, 1, 2, 3, 4)}`).toString('base64'));
      case 'Int':
      case 'SafeInt':
        return this.oneOf('0', '1', '2');
      case 'Float':
        return '0.5';
      case 'Boolean':
        return 'true';
      case 'UUID':
        return '"00000000-0000-4000-8000-000000000000"';
      case 'DateTime':
        return '"2026-01-01T00:00:00.000Z"';
      default:
        return this.oneOf('"Latchkey"', '"agent-1"');
    }
  }
}

describe('DOS 8: nested queries over the whole schema', patient, () => {
  it('stay within the limits for any selection, and the server stays responsive', async () => {
    const seen = { answered: 0, rejected: 0, memory: 0, delay: 0 };
    const requests = fc.gen().map((draw) =>
      Array.from({ length: 4 }, () => {
        const builder = new QueryBuilder(draw);
        return { query: builder.document(), variables: builder.variables };
      }),
    );
    await fc.assert(
      fc.asyncProperty(requests, async (requests) => {
        const answers = await Promise.all(requests.map(({ query, variables }) => post(query, variables)));
        for (const [index, { status, body }] of answers.entries()) {
          const about = JSON.stringify([requests[index], body.errors?.slice(0, 2)]);
          expect([200, 400, 401], about).toContain(status);
          expect(body.errors?.map(({ extensions }) => extensions.code) ?? [], about).not.toContain('INTERNAL');
          if (body.errors?.some(({ extensions }) => extensions.limit)) seen.rejected++;
          else seen.answered++;
          if (body.data) expect(body.extensions?.cost.requested, about).toBeLessThanOrEqual(5000);
        }
        await expectAlive();
        seen.memory = Math.max(seen.memory, await metric('process_resident_memory_bytes'));
        seen.delay = Math.max(seen.delay, await metric('nodejs_eventloop_lag_max_seconds'));
        // The attack that this test reproduces used 4.6 GB.
        expect(seen.memory, `the event loop was delayed for ${seen.delay} s`).toBeLessThan(2 * 1024 ** 3);
      }),
      { numRuns: 60, endOnFailure: true },
    );
    // Both outcomes must occur. Otherwise the generator no longer tests the limits.
    expect(Math.min(seen.answered, seen.rejected)).toBeGreaterThan(10);
    expect(await metric('nodejs_heap_size_used_bytes')).toBeLessThan(400 * 1024 ** 2);
  });
});
