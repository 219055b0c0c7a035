import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, validate } from 'graphql';
import { describe, expect, it } from 'vitest';
import { artifacts } from '../../scripts/artifacts.ts';
import { schema } from '../../src/graphql/schema.ts';
import { projectRoot } from '../../src/project-root.ts';
import { downloads } from '../../src/rest/downloads.ts';
import { type AnyEndpoint, rootFields } from '../../src/rest/endpoint.ts';
import { endpoints } from '../../src/rest/endpoints.ts';

const written = (name: string): string => readFileSync(join(projectRoot, name), 'utf8');

describe('generated files', () => {
  it.each(Object.entries(artifacts()))('%s is up to date with the code', (name, content) => {
    expect(written(name) === content, `${name} is stale: run \`npm run generate\``).toBe(true);
  });
});

describe('REST endpoints', () => {
  const documents = endpoints.flatMap((row) => [
    { name: `${row.method} ${row.path}`, document: row.document },
    ...(row.stream ? [{ name: `${row.method} ${row.path}, streaming`, document: row.stream.document }] : []),
  ]);

  it.each(documents)('$name has a GraphQL document that is valid against the schema', ({ document }) => {
    expect(validate(schema, document).map(({ message }) => message)).toEqual([]);
  });

  it.each(endpoints.filter((row) => row.stream))(
    '$method $path requires the same permissions for a streamed and a complete response',
    (row) => {
      const needs = (document: typeof row.document) =>
        new Set(
          rootFields(document).map(({ operation, name }) => {
            const type = {
              Query: schema.getQueryType(),
              Mutation: schema.getMutationType(),
              Subscription: schema.getSubscriptionType(),
            }[operation];
            return JSON.stringify(type?.getFields()[name]?.extensions.requirements);
          }),
        );
      expect(needs(row.stream?.document as typeof row.document)).toEqual(needs(row.document));
    },
  );

  it('have unique methods and paths, and a fixed path precedes a parameter path that would match it', () => {
    const names = endpoints.map(({ method, path }) => `${method} ${path}`);
    expect(new Set(names).size).toBe(names.length);
    const shadowed = endpoints.flatMap((row, index) =>
      endpoints
        .slice(0, index)
        .filter((earlier) => earlier.method === row.method && taking(earlier.path).test(row.path))
        .map((earlier) => `${earlier.path} takes ${row.path}`),
    );
    expect(shadowed).toEqual([]);
  });

  const taking = (path: string) => new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`);
});

interface Operation {
  tags: string[];
  summary: string;
  security?: unknown[];
  parameters?: { name: string; in: string; required?: boolean; schema: object }[];
  requestBody?: { required: boolean; content: Record<string, { schema: object }> };
  responses: Record<string, { description: string; content?: Record<string, { schema: object }> }>;
  'x-graphql-operation'?: string;
  'x-graphql-document'?: string;
}

const openApi = JSON.parse(written('schema/openapi.json')) as {
  openapi: string;
  info: { title: string; version: string };
  servers: { url: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object>; securitySchemes: Record<string, object> };
};
const operations = Object.entries(openApi.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ name: `${method} ${path}`, method, path, operation })),
);

/** Yields every `$ref` within a value. */
function* references(value: unknown): Generator<string> {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, inner] of Object.entries(value))
    if (key === '$ref') yield inner as string;
    else yield* references(inner);
}

/** Downloads are generated while they are read and have no GraphQL document. Their media types. */
const files = new Map(downloads.map(({ path, content }) => [`/api${path}`, Object.keys(content)]));

const rowAt = (method: string, path: string) =>
  endpoints.find((row) => row.method === method && `/api${row.path}` === path);

/** Returns the media types of an endpoint's responses; health and version have no endpoint and are JSON. */
function contentOf(row: AnyEndpoint | undefined): string[] {
  if (row?.status === 204 || row?.format === 'empty') return [];
  const files = Object.keys(row?.content ?? { 'text/plain': row?.reply });
  if (row?.format === 'text' || row?.format === 'file') return files;
  if (row?.stream && !row.stream.when) return ['text/event-stream'];
  return ['application/json', ...(row?.download ? files : []), ...(row?.stream ? ['text/event-stream'] : [])];
}

/** Paths outside of GraphQL that show an anonymous client that the server is running, or its version. */
const withoutCredential = ['/api/health', '/api/ping', '/api/version'];

describe('openapi.json', () => {
  it('is OpenAPI 3.1 with a title, a version and a server', () => {
    expect(openApi.openapi).toMatch(/^3\.1\.\d+$/);
    expect(openApi.info).toMatchObject({ title: 'Latchkey', version: expect.stringMatching(/^\d+\.\d+\.\d+/) });
    expect(openApi.servers).toEqual([{ url: '/' }]);
    expect(Object.keys(openApi.components.securitySchemes)).toEqual(['bearer', 'session']);
  });

  it('contains the target of every reference', () => {
    const missing = [...references(openApi)].filter(
      (reference) => !Object.hasOwn(openApi.components.schemas, reference.replace('#/components/schemas/', '')),
    );
    expect(missing).toEqual([]);
  });

  it('describes every endpoint, every download, and the health and version paths', () => {
    const described = operations.map(({ name }) => name).sort();
    const served = endpoints.map(({ method, path }) => `${method} /api${path}`);
    expect(described).toEqual(
      [...served, ...[...files.keys(), ...withoutCredential].map((path) => `get ${path}`)].sort(),
    );
  });

  it.each(operations)(
    '$name has the tag, summary, response schema and path parameters that client generators need',
    ({ operation, method, path }) => {
      expect(operation.tags).toEqual([expect.stringMatching(/\S/)]);
      expect(operation.summary).toMatch(/^\S.*[^.]$/);
      const [status, ...others] = Object.keys(operation.responses).filter((each) => each.startsWith('2'));
      expect(others).toEqual([]);
      const done = operation.responses[status ?? ''];
      expect(done?.description).toMatch(/\S/);
      for (const { schema } of Object.values(done?.content ?? {})) expect(Object.keys(schema)).not.toEqual([]);
      expect(Object.keys(done?.content ?? {})).toEqual(files.get(path) ?? contentOf(rowAt(method, path)));
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();
      const documented = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path');
      expect(documented.map(({ name }) => name).sort()).toEqual(inPath);
      expect(documented.every(({ required }) => required === true)).toBe(true);
    },
  );

  it.each(operations.filter(({ operation }) => operation['x-graphql-document'] !== undefined))(
    '$name names its GraphQL operation and contains a valid document',
    ({ operation }) => {
      const document = parse(operation['x-graphql-document'] ?? '');
      expect(validate(schema, document)).toEqual([]);
      expect(
        rootFields(document)
          .map(({ name }) => name)
          .join(', '),
      ).toBe(operation['x-graphql-operation']);
    },
  );

  it('contains a GraphQL document for every path except downloads and paths that need no credential', () => {
    const alone = operations.filter(({ operation }) => operation['x-graphql-document'] === undefined);
    expect(alone.map(({ path }) => path).sort()).toEqual([...files.keys(), ...withoutCredential].sort());
  });
});
