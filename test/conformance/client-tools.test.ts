import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  buildSchema,
  type GraphQLField,
  GraphQLID,
  type GraphQLOutputType,
  getNamedType,
  isEnumType,
  isObjectType,
  isScalarType,
  isSpecifiedScalarType,
} from 'graphql';
// @ts-expect-error The package has no types: it exports the path of its program.
import relayCompiler from 'relay-compiler';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { projectRoot } from '../../src/project-root.ts';

/** Runs the client tools that read the committed schema, in the same way as a user of these tools. */
const sdl = readFileSync(join(projectRoot, 'schema', 'schema.graphql'), 'utf8');
const schema = buildSchema(sdl);
const run = promisify(execFile);

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-client-tools-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

type Field = GraphQLField<unknown, unknown>;

const queries = Object.values(schema.getQueryType()?.getFields() ?? {});
const mutations = Object.values(schema.getMutationType()?.getFields() ?? {});
const connectionNode = ({ type }: { type: GraphQLOutputType }) => {
  const named = getNamedType(type);
  if (!isObjectType(named) || !named.name.endsWith('Connection')) return null;
  const edges = named.getFields().edges;
  const edge = edges && getNamedType(edges.type);
  const node = isObjectType(edge) ? edge.getFields().node : undefined;
  const type_ = node && getNamedType(node.type);
  return isObjectType(type_) ? type_ : null;
};

/** Returns the scalar fields of a type that take no arguments, as a selection. */
const scalarsOf = (type: ReturnType<typeof connectionNode>): string =>
  Object.values(type?.getFields() ?? {})
    .filter((field) => field.args.length === 0 && !isObjectType(getNamedType(field.type)))
    .filter((field) => 'serialize' in getNamedType(field.type) || isEnumType(getNamedType(field.type)))
    .map(({ name }) => name)
    .slice(0, 4)
    .join(' ');

/** Declares a variable for each argument of a field, except the pagination arguments, and passes it to the field. */
function variablesOf(field: Field, without: readonly string[] = []) {
  const args = field.args.filter(({ name }) => !without.includes(name));
  return {
    declared: args.map(({ name, type }) => `$${name}: ${type}`),
    passed: args.map(({ name }) => `${name}: $${name}`),
    args,
  };
}

const paging = ['first', 'after', 'last', 'before', 'offset'];

const capitalized = (name: string) => name[0]?.toUpperCase() + name.slice(1);

/** Returns a pagination fragment with `@refetchable` for each connection of `Query`. */
function paginationFragments(): Record<string, string> {
  return Object.fromEntries(
    queries.flatMap((field) => {
      const node = connectionNode(field);
      // Relay cannot paginate a list without a cursor argument.
      if (!node || !field.args.some(({ name }) => name === 'after')) return [];
      const { args, passed } = variablesOf(field, paging);
      const name = `${capitalized(field.name)}List`;
      const definitions = [
        'count: { type: "Int", defaultValue: 20 }',
        'cursor: { type: "String" }',
        ...args.map((arg) => `${arg.name}: { type: "${arg.type}" }`),
      ].join(', ');
      const list = `${field.name}(${['first: $count', 'after: $cursor', ...passed].join(', ')}) @connection(key: "${name}_${field.name}")`;
      return [
        [
          name,
          `fragment ${name}_query on Query @refetchable(queryName: "${name}Query") @argumentDefinitions(${definitions}) {
            ${list} { edges { node { ${scalarsOf(node)} } } }
          }`,
        ],
      ];
    }),
  );
}

/** Returns a mutation with `@deleteEdge` for every mutation that returns the ID of a deleted object. */
function deletions(): Record<string, string> {
  return Object.fromEntries(
    mutations.flatMap((field) => {
      const payload = getNamedType(field.type);
      if (!isObjectType(payload)) return [];
      const deleted = Object.values(payload.getFields()).find(
        ({ name, type }) => /^deleted\w+Ids?$/.test(name) && getNamedType(type) === GraphQLID,
      );
      if (!deleted) return [];
      const { declared, passed } = variablesOf(field);
      const name = `${capitalized(field.name)}Edge`;
      return [
        [
          name,
          `mutation ${name}Mutation(${[...declared, '$connections: [ID!]!'].join(', ')}) {
            ${field.name}${passed.length > 0 ? `(${passed.join(', ')})` : ''} {
              ${deleted.name} @deleteEdge(connections: $connections)
            }
          }`,
        ],
      ];
    }),
  );
}

/** Returns a mutation with `@appendNode` for every mutation that returns a created node of a listed type. */
function additions(): Record<string, string> {
  const edges = new Map(
    queries.flatMap((field) => {
      const node = connectionNode(field);
      return node ? [[node.name, `${getNamedType(field.type).name.replace(/Connection$/, '')}Edge`] as const] : [];
    }),
  );
  return Object.fromEntries(
    mutations.flatMap((field) => {
      const payload = getNamedType(field.type);
      if (!field.name.startsWith('create') || !isObjectType(payload)) return [];
      const created = Object.values(payload.getFields()).find(({ type }) => edges.has(getNamedType(type).name));
      if (!created) return [];
      const node = getNamedType(created.type);
      const { declared, passed } = variablesOf(field);
      const name = `${capitalized(field.name)}Node`;
      return [
        [
          name,
          `mutation ${name}Mutation(${[...declared, '$connections: [ID!]!'].join(', ')}) {
            ${field.name}(${passed.join(', ')}) {
              ${created.name} @appendNode(connections: $connections, edgeTypeName: "${edges.get(node.name)}") {
                ${isObjectType(node) ? scalarsOf(node) : 'id'}
              }
            }
          }`,
        ],
      ];
    }),
  );
}

/** Returns the `codegen.ts` that docs/graphql.md shows. */
function documentedCodegenConfig(): string {
  const page = readFileSync(join(projectRoot, 'docs/graphql.md'), 'utf8');
  const block = [...page.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].find(([, code]) => code?.includes('CodegenConfig'));
  return block?.[1] ?? '';
}

/**
 * Returns a TypeScript module for each connection field of the schema: a fragment or query that reads the connection,
 * and a function that reads its result, so that a missing field or a wrong nullability is a type error.
 */
function connectionModules(): Record<string, string> {
  const modules: Record<string, string> = {};
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type)) continue;
    for (const field of Object.values(type.getFields())) {
      const node = connectionNode(field);
      if (!node) continue;
      const name = `${type.name}${capitalized(field.name)}`;
      const isRoot = type === schema.getQueryType();
      const { declared, passed } = variablesOf(field, isRoot ? [] : field.args.map((arg) => arg.name));
      const args = passed.length > 0 ? `(${passed.join(', ')})` : '';
      const counted = (getNamedType(field.type) as typeof node).getFields().totalCount ? 'totalCount' : '';
      const selection = `${field.name}${args} {
        ${counted} pageInfo { hasNextPage endCursor } edges { cursor node { __typename ${scalarsOf(node)} } }
      }`;
      const head = isRoot
        ? `query ${name}${declared.length > 0 ? `(${declared.join(', ')})` : ''}`
        : `fragment ${name} on ${type.name}`;
      modules[name] = `import { graphql } from './gql';
import type { ResultOf } from '@graphql-typed-document-node/core';
export const document = graphql(\`${head} { ${selection} }\`);
type Result = NonNullable<ReturnType<NonNullable<(typeof document)['__apiType']>>>;
type List = NonNullable<Omit<Result, ' $fragmentName'>[${JSON.stringify(field.name)}]>;
export const names = (list: List): ${JSON.stringify(node.name)}[] => list.edges.map(({ node }) => node.__typename);
export type Data = ResultOf<typeof document>;
`;
    }
  }
  return modules;
}

describe('client tools', () => {
  it('maps each scalar of the schema in the codegen example of docs/graphql.md', () => {
    const scalars = Object.values(schema.getTypeMap())
      .filter((type) => isScalarType(type) && !isSpecifiedScalarType(type))
      .map(({ name }) => name);
    const mapped = /scalars: \{([^}]*)\}/.exec(documentedCodegenConfig())?.[1] ?? '';
    expect([...mapped.matchAll(/(\w+):/g)].map(([, name]) => name).toSorted()).toEqual(scalars.toSorted());
  });

  it('generates types with the codegen example of docs/graphql.md that pass the type check, for every connection', {
    timeout: 240_000,
  }, async () => {
    const modules = connectionModules();
    expect(Object.keys(modules)).toEqual(
      expect.arrayContaining(['QueryAgents', 'QueryChatSessions', 'AgentDocuments']),
    );
    mkdirSync(join(folder, 'src'));
    symlinkSync(join(projectRoot, 'node_modules'), join(folder, 'node_modules'));
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    writeFileSync(join(folder, 'schema.graphql'), sdl);
    writeFileSync(join(folder, 'codegen.ts'), documentedCodegenConfig());
    for (const [name, code] of Object.entries(modules)) writeFileSync(join(folder, 'src', `${name}.ts`), code);
    const options = {
      strict: true,
      noEmit: true,
      target: 'es2022',
      module: 'esnext',
      moduleResolution: 'bundler',
      lib: ['es2022', 'dom'],
      types: [],
    };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, include: ['src'] }));
    const bin = (name: string) => join(projectRoot, 'node_modules', '.bin', name);
    const output = async (name: string) => {
      const done = await run(bin(name), [], { cwd: folder }).catch(
        (error: { stdout: string; stderr: string }) => error,
      );
      return { failed: done instanceof Error, text: `${done.stdout}${done.stderr}` };
    };
    const generated = await output('graphql-codegen');
    expect(generated.failed, generated.text).toBe(false);
    expect(readdirSync(join(folder, 'src', 'gql')).toSorted()).toEqual([
      'fragment-masking.ts',
      'gql.ts',
      'graphql.ts',
      'index.ts',
    ]);
    const checked = await output('tsc');
    expect(checked.text).toBe('');
    expect(checked.failed).toBe(false);
  });

  it('compiles Relay fragments over every connection, deletions and additions', { timeout: 120_000 }, async () => {
    const sources = { ...paginationFragments(), ...deletions(), ...additions() };
    expect(Object.keys(paginationFragments()).length).toBeGreaterThan(15);
    expect(Object.keys(deletions())).toContain('DeleteAgentEdge');
    expect(Object.keys(additions())).toContain('CreateAgentNode');
    writeFileSync(join(folder, 'schema.graphql'), sdl);
    mkdirSync(join(folder, 'src', '__generated__'), { recursive: true });
    for (const [name, document] of Object.entries(sources))
      writeFileSync(join(folder, 'src', `${name}.ts`), `graphql\`${document}\`;\n`);
    const config = {
      src: 'src',
      schema: 'schema.graphql',
      language: 'typescript',
      artifactDirectory: 'src/__generated__',
      eagerEsModules: true,
    };
    writeFileSync(join(folder, 'relay.config.json'), JSON.stringify(config));
    writeFileSync(join(folder, 'package.json'), '{}');
    const { stdout, stderr } = await run(relayCompiler, [join(folder, 'relay.config.json')], { cwd: folder }).catch(
      (error: { stdout: string; stderr: string }) => error,
    );
    expect(`${stdout}${stderr}`).not.toMatch(/\berror\b|✖/i);
    expect(`${stdout}${stderr}`).toContain('compiled documents');
  });

  it('reports no problem under the Relay preset of graphql-eslint, except for items without a global ID', {
    timeout: 120_000,
  }, async () => {
    const { ESLint } = await import('eslint');
    const { default: plugin } = await import('@graphql-eslint/eslint-plugin');
    const eslint = new ESLint({
      cwd: folder,
      overrideConfigFile: true,
      overrideConfig: [
        {
          files: ['**/*.graphql'],
          languageOptions: { parser: plugin.parser, parserOptions: { graphQLConfig: { schema: sdl } } },
          plugins: { '@graphql-eslint': plugin as never },
          rules: {
            ...(plugin.configs['flat/schema-relay'].rules as object),
            // By default, this option forbids every list of objects that is not a list of edges, such as the `nodes` of
            // a connection and the citations of a message. The Relay specification allows them.
            '@graphql-eslint/relay-edge-types': ['error', { listTypeCanWrapOnlyEdgeType: false }],
          } as never,
        },
      ],
    });
    const path = join(folder, 'schema.graphql');
    writeFileSync(path, sdl);
    const results = await eslint.lintFiles([path]);
    expect(results).toHaveLength(1);
    const lines = sdl.split('\n');
    const problems = results.flatMap(({ messages }) =>
      messages.map(({ line, message }) => `${/^type (\w+)/.exec(lines[line - 1] ?? '')?.[1]}: ${message}`),
    );
    // The items of this list do not implement `Node`: a share is identified by its agent and its user.
    const edges = ['AgentShareEdge'];
    expect(problems).toEqual(
      edges.map((edge) => `${edge}: Edge type's field \`node\` must implement \`Node\` interface.`),
    );
  });
});
