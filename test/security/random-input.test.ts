import fc from 'fast-check';
import {
  type GraphQLInputType,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isLeafType,
  isListType,
  isNonNullType,
} from 'graphql';
import { describe, expect, it } from 'vitest';
import { schema } from '../../src/graphql/schema.ts';
import { multiUserOnly } from '../../src/rest/anythingllm/mode.ts';
import { endpoints } from '../../src/rest/endpoints.ts';
import type { Answer } from '../kit.ts';
import { clean, graph, peopled, send, startServers } from './bad-requests.ts';

startServers();

describe('random input', () => {
  /**
   * Values that often cause errors. Small positive numbers are left out, since they are IDs of objects that the tests
   * need.
   */
  const nasty: fc.Arbitrary<unknown> = fc.oneof(
    fc.constantFrom<unknown>(
      null,
      true,
      false,
      '',
      ' ',
      '\0',
      '\ud800',
      'x'.repeat(10_001),
      '🔑',
      '-1',
      '0x10',
      '1e3',
      [],
      {},
      [null],
      [[[]]],
      -1,
      0,
      0.5,
      -0,
      2 ** 31,
      -(2 ** 31) - 1,
      2 ** 53,
      1e308,
      '0000-01-01T00:00:00Z',
      '9999-12-31T23:59:59Z',
      '2024-02-30T00:00:00Z',
      '11111111-2222-4333-8444-555555555555',
      'javascript:alert(1)',
      '__proto__',
      'constructor',
      'read:chat',
      'admin',
      'SearchTool',
    ),
    fc
      .jsonValue({ maxDepth: 2 })
      .map((value) => (typeof value === 'number' && value > 0 && value < 10_000 ? -value : value)),
    fc.string({ unit: 'binary', maxLength: 30 }),
  );
  const often = <T>(usual: fc.Arbitrary<T>): fc.Arbitrary<unknown> =>
    fc.oneof({ weight: 5, arbitrary: usual }, { weight: 1, arbitrary: nasty });
  const ids = fc.constantFrom(-1, 0, 2_000_000_000, -(2 ** 31), 2 ** 31 - 1);
  const texts = fc.oneof(
    fc.string({ maxLength: 20 }),
    fc.constantFrom(
      'hello',
      'a\0',
      '\udfff',
      'y'.repeat(600),
      '2024-01-01T00:00:00Z',
      '11111111-2222-4333-8444-555555555555',
      'https://example.com/',
    ),
  );

  interface JsonSchema {
    $ref?: string;
    type?: string | string[];
    enum?: unknown[];
    const?: unknown;
    properties?: Record<string, JsonSchema>;
    items?: JsonSchema;
    anyOf?: JsonSchema[];
    allOf?: JsonSchema[];
  }

  interface Operation {
    parameters?: { name: string; in: string }[];
    requestBody?: { content: { 'application/json': { schema: JsonSchema } } };
  }

  interface OpenApi {
    paths: Record<string, Record<string, Operation>>;
    components: { schemas: Record<string, JsonSchema> };
  }

  /** Generates values that mostly fit a schema. */
  function like(description: JsonSchema, openApi: OpenApi): fc.Arbitrary<unknown> {
    if (description.$ref)
      return like(openApi.components.schemas[description.$ref.replace('#/components/schemas/', '')] ?? {}, openApi);
    const parts = description.anyOf ?? description.allOf;
    if (parts) return often(fc.oneof(...parts.map((part) => like(part, openApi))));
    if (description.enum) return often(fc.constantFrom(...description.enum));
    const [type] = [description.type].flat();
    if (type === 'object' && description.properties)
      return often(
        fc.record(
          Object.fromEntries(
            Object.entries(description.properties).map(([name, property]) => [name, like(property, openApi)]),
          ),
          { requiredKeys: [] },
        ),
      );
    if (type === 'object') return often(fc.dictionary(texts, nasty, { maxKeys: 3 }));
    if (type === 'array') return often(fc.array(like(description.items ?? {}, openApi), { maxLength: 3 }));
    if (type === 'integer' || type === 'number') return often(ids);
    if (type === 'boolean') return often(fc.boolean());
    return type === 'string' ? often(texts) : nasty;
  }

  it('causes no internal error in a REST endpoint', async () => {
    const { body: openApi }: Answer<OpenApi> = await send('GET', '/api/openapi.json');
    const operations = Object.entries(openApi.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
    );
    const multiUserPaths = new Set(
      endpoints.filter(({ gate }) => gate === multiUserOnly).map(({ path }) => `/api${path}`),
    );
    const parameter = fc.oneof(
      ids.map(String),
      texts,
      fc.string({ unit: 'binary', maxLength: 10 }),
      fc.constantFrom('..', '%', '\0', '11111111-2222-4333-8444-555555555555'),
    );
    const requests = fc.constantFrom(...operations).chain(({ path, method, operation }) => {
      const parameters: { name: string; in: string }[] = operation.parameters ?? [];
      // Endpoints for files reject JSON, which is sent too.
      const [content] = Object.values<{ schema: object }>(operation.requestBody?.content ?? {});
      const shape = content?.schema;
      return fc.record({
        method: fc.constant(method.toUpperCase()),
        path: fc.constant(path),
        values: fc.record(Object.fromEntries(parameters.map(({ name }) => [name, parameter]))),
        query: fc.subarray(parameters.filter((one) => one.in === 'query').map(({ name }) => name)),
        body: shape ? like(shape, openApi) : fc.constant(undefined),
      });
    });
    await fc.assert(
      fc.asyncProperty(requests, async ({ method, path, values, query, body }) => {
        const encoded = (name: string) =>
          encodeURIComponent(String((values as Record<string, string>)[name]).toWellFormed());
        const full = path.replaceAll(/\{(\w+)\}/g, (_all, name: string) => encoded(name) || '_');
        const search = query.map((name) => `${name}=${encoded(name)}`).join('&');
        clean(
          await send(method, `${full}?${search}`, {
            ...(multiUserPaths.has(path) && { on: peopled }),
            ...(body !== undefined && { body: JSON.stringify(body) }),
          }),
          `${method} ${full}?${search} ${JSON.stringify(body)}`,
        );
      }),
      { numRuns: 300 },
    );
    expect((await send('GET', '/api/me')).body).toMatchObject({ role: 'admin' });
  });

  /** Generates values that mostly fit a GraphQL type. */
  function fitting(type: GraphQLInputType, depth = 0): fc.Arbitrary<unknown> {
    if (isNonNullType(type)) return fitting(type.ofType, depth);
    if (isListType(type)) return often(fc.array(fitting(type.ofType, depth + 1), { maxLength: 3 }));
    if (isEnumType(type)) return often(fc.constantFrom(...type.getValues().map(({ name }) => name)));
    if (isInputObjectType(type)) {
      const fields = Object.values(type.getFields());
      const needed = fields.filter((field) => isNonNullType(field.type)).map(({ name }) => name);
      return often(
        fc.record(Object.fromEntries(fields.map((field) => [field.name, fitting(field.type, depth + 1)])), {
          requiredKeys: needed,
        }),
      );
    }
    if (type.name === 'Int' || type.name === 'Float') return often(ids);
    if (type.name === 'Boolean') return often(fc.boolean());
    if (type.name === 'UUID') return often(fc.uuid());
    if (type.name === 'DateTime') return often(fc.date({ noInvalidDate: true }).map((date) => date.toISOString()));
    if (type.name === 'JSONObject')
      return often(fc.dictionary(texts, fc.oneof(texts, fc.array(texts, { maxLength: 2 })), { maxKeys: 3 }));
    if (type.name === 'ID')
      return often(
        fc
          .tuple(fc.constantFrom('Agent', 'ChatSession', 'ApiKey', 'Document', 'Nothing'), texts)
          .map(([name, id]) => Buffer.from(`${name}:${id}`).toString('base64')),
      );
    return often(texts);
  }

  it('causes no internal error in a GraphQL field', async () => {
    const fields = [schema.getQueryType(), schema.getMutationType()].flatMap((type) =>
      Object.values(type?.getFields() ?? {}).map((field) => ({ operation: type?.name.toLowerCase(), field })),
    );
    const requests = fc
      .constantFrom(...fields.filter(({ field }) => field.args.length > 0))
      .chain(({ operation, field }) =>
        fc.record({
          query: fc.constant(
            `${operation} (${field.args.map(({ name, type }) => `$${name}: ${type}`).join(', ')}) { ${field.name}(${field.args.map(({ name }) => `${name}: $${name}`).join(', ')}) ${isLeafType(getNamedType(field.type)) ? '' : '{ __typename }'} }`,
          ),
          variables: fc.record(Object.fromEntries(field.args.map(({ name, type }) => [name, fitting(type)])), {
            requiredKeys: field.args.filter(({ type }) => isNonNullType(type)).map(({ name }) => name),
          }),
        }),
      );
    await fc.assert(
      fc.asyncProperty(requests, async (request) => {
        clean(await graph(request), JSON.stringify(request));
      }),
      { numRuns: 300 },
    );
    expect((await send('GET', '/api/me')).body).toMatchObject({ role: 'admin' });
  });
});
