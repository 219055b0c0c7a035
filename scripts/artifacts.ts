import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { minifyIntrospection, outputIntrospectionFile } from '@gql.tada/internal';
import { printSchemaWithDirectives } from '@graphql-tools/utils';
import { type GraphQLObjectType, introspectionFromSchema } from 'graphql';
import {
  holdsInProject,
  type Permission,
  permissions,
  permissionTable,
  rolePermissions,
  roles,
} from '../src/authz/permissions.ts';
import { type ErrorReason, errorReasons, serviceErrorCodes } from '../src/error-reasons.ts';
import { AppError } from '../src/errors.ts';
import { toGraphQLError } from '../src/graphql/errors.ts';
import { type Requirement, requirementsOf } from '../src/graphql/plugins/permissions.ts';
import { schema } from '../src/graphql/schema.ts';
import { projectRoot } from '../src/project-root.ts';
import { anythingllm } from '../src/rest/anythingllm/dialect.ts';
import { embeddingParameters, imageParameters } from '../src/rest/anythingllm/openai.ts';
import { chatParameters } from '../src/rest/anythingllm/openai-chat-request.ts';
import { openai } from '../src/rest/anythingllm/openai-dialect.ts';
import { failureFor } from '../src/rest/dialect.ts';
import { endpointRequirements } from '../src/rest/endpoint.ts';
import { endpoints } from '../src/rest/endpoints.ts';
import { onyx } from '../src/rest/onyx/errors.ts';
import { openApiDocument } from '../src/rest/openapi.ts';
import type { ParameterTable } from '../src/rest/parameters.ts';
import { type OpenApi, requestParameters, withoutEffect } from './request-parameters.ts';

/** Returns all GraphQL operations with their requirements. */
function operations(): { operation: string; requirements: readonly Requirement[] }[] {
  const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()];
  return roots
    .filter((type): type is GraphQLObjectType => type != null)
    .flatMap((type) =>
      Object.values(type.getFields()).map((field) => ({
        operation: `${type.name}.${field.name}`,
        requirements: requirementsOf(field),
      })),
    );
}

/** Returns all REST operations with the requirements of their GraphQL operations. */
const restOperations = () =>
  endpoints.map((row) => ({
    operation: `${row.method.toUpperCase()} /api${row.path}`,
    requirements: endpointRequirements(row),
  }));

function permissionsPage(): string {
  const mark = (held: boolean) => (held ? 'yes' : '');
  const inProject = new Set([...rolePermissions('BASIC')].filter(holdsInProject));
  /** The permissions of each column: the roles, and a basic token that is restricted to a project. */
  const columns: [string, ReadonlySet<Permission>][] = [
    ...roles.map((role): [string, ReadonlySet<Permission>] => [role.toLowerCase(), rolePermissions(role)]),
    ['project token', inProject],
  ];
  const holds = (requirement: Requirement) =>
    columns.map(([, held]) =>
      mark(requirement === 'public' || requirement === 'signedIn' || held.has(requirement as Permission)),
    );
  const head = (first: string[]) => [
    `| ${[...first, ...columns.map(([title]) => title)].join(' | ')} |`,
    `|${'---|'.repeat(first.length + columns.length)}`,
  ];
  const row = (cells: string[]) => `| ${cells.join(' | ')} |`;
  const name = (requirement: Requirement) =>
    requirement === 'public' ? 'none' : requirement === 'signedIn' ? 'any credential' : `\`${requirement}\``;
  /** Returns the requirements of an operation, and the columns that meet all of them. */
  const needs = (requirements: readonly Requirement[]) => [
    requirements.map(name).join(', '),
    ...columns.map((_column, index) => mark(requirements.every((requirement) => holds(requirement)[index] !== ''))),
  ];
  return [
    '# Permissions',
    '',
    'Generated from `src/authz/permissions.ts` and the schema by `npm run generate`; not edited by hand.',
    'What a credential may do is its role’s column, cut to its scopes, and to the last column if it is confined to a project.',
    '',
    '## The vocabulary',
    '',
    ...head(['permission', 'allows']),
    ...permissions.map((permission) =>
      row([`\`${permission}\``, permissionTable[permission].allows, ...holds(permission)]),
    ),
    '',
    '## Every operation',
    '',
    ...head(['operation', 'needs']),
    ...operations().map(({ operation, requirements }) => row([`\`${operation}\``, ...needs(requirements)])),
    '',
    '## Every REST path',
    '',
    ...head(['path', 'needs']),
    ...restOperations().map(({ operation, requirements }) => row([`\`${operation}\``, ...needs(requirements)])),
    '',
  ].join('\n');
}

const treatments = { honored: 'yes', restricted: 'no', ignored: 'ignored' };

const parameterSection = (title: string, table: ParameterTable): string[] => [
  `## ${title}`,
  '',
  '| parameter | supported | notes |',
  '|---|---|---|',
  ...Object.entries(table).map(([name, { treatment, note }]) => `| \`${name}\` | ${treatments[treatment]} | ${note} |`),
  '',
];

/** Returns the parameters of the other endpoints that are rejected or have no effect. */
function otherParameters(document: OpenApi): string[] {
  return endpoints
    .filter(({ path }) => !path.startsWith('/v1/openai/'))
    .flatMap(({ method, path }) =>
      requestParameters(document, method, `/api${path}`).flatMap((parameter) => {
        const supported = withoutEffect(parameter);
        if (supported === null) return [];
        const name = parameter.path.replace(/^\w+\./, '');
        const note = parameter.description.replace(/^(Ignored|Not supported)[.:] */, '');
        return [`| \`${method.toUpperCase()} /api${path}\` | \`${name}\` | ${supported} | ${note} |`];
      }),
    );
}

function parametersPage(document: OpenApi): string {
  return [
    '# Request parameters',
    '',
    'Generated from the REST endpoints by `npm run generate`; not edited by hand.',
    '',
    'A parameter that is not supported is rejected with status 400 or 422, except for the values that the notes name. An ignored parameter is accepted with any value and has no effect; so is a field that the OpenAPI document does not describe.',
    '',
    ...parameterSection('POST /api/v1/openai/chat/completions', chatParameters),
    ...parameterSection('POST /api/v1/openai/embeddings', embeddingParameters),
    ...parameterSection('POST /api/v1/openai/images/generations', imageParameters),
    '## Other endpoints',
    '',
    'All other parameters of these endpoints have the effect that the OpenAPI document describes.',
    '',
    '| endpoint | parameter | supported | notes |',
    '|---|---|---|---|',
    ...otherParameters(document),
    '',
  ].join('\n');
}

const reasonsStart = '<!-- Generated from src/error-reasons.ts by `npm run generate`. -->';
const reasonsEnd = '<!-- End of the generated part. -->';

/** Returns the status of a reason in each format: GraphQL without data, Onyx, AnythingLLM, OpenAI. */
function statusesOf(reason: ErrorReason): number[] {
  const { code, meaning } = errorReasons[reason];
  const error = new AppError(code, reason as never, meaning);
  const { http } = toGraphQLError(error).extensions as { http?: { status: number } };
  return [http?.status ?? 200, ...[onyx, anythingllm, openai].map((each) => failureFor(each, {}, error, null).status)];
}

/** Returns the lines of a table as the formatter writes them. The columns from `numbersFrom` on are aligned to the right. */
function alignedTable(head: string[], rows: string[][], numbersFrom: number): string[] {
  const widths = head.map((title, index) => Math.max(title.length, ...rows.map((row) => row[index]?.length ?? 0)));
  const line = (cells: string[]) =>
    `| ${cells.map((cell, index) => (index < numbersFrom ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0))).join(' | ')} |`;
  const rule = widths.map((width, index) => (index < numbersFrom ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(head), line(rule), ...rows.map(line)];
}

/** Returns docs/errors.md with the tables of the reasons. */
function errorsPage(): string {
  const page = readFileSync(join(projectRoot, 'docs/errors.md'), 'utf8');
  const [before, after] = [page.split(reasonsStart)[0], page.split(reasonsEnd)[1]];
  const tables = serviceErrorCodes.flatMap((code) => [
    `### ${code}`,
    '',
    ...alignedTable(
      ['reason', 'meaning', 'remedy', 'GraphQL', 'Onyx', 'AnythingLLM', 'OpenAI'],
      Object.entries(errorReasons)
        .filter(([, entry]) => entry.code === code)
        .map(([reason, { meaning, remedy }]) => [
          `\`${reason}\``,
          meaning,
          remedy,
          ...statusesOf(reason as ErrorReason).map(String),
        ]),
      3,
    ),
    '',
  ]);
  return [before, reasonsStart, '\n\n', tables.join('\n'), '\n', reasonsEnd, after].join('');
}

/** Returns the generated files by path. */
export function artifacts(): Record<string, string> {
  const openApi = openApiDocument();
  return {
    'schema/schema.graphql': `${printSchemaWithDirectives(schema)}\n`,
    'docs/errors.md': errorsPage(),
    'schema/permissions.md': permissionsPage(),
    'schema/parameters.md': parametersPage(openApi as OpenApi),
    'schema/openapi.json': `${JSON.stringify(openApi, null, 2)}\n`,
    'src/rest/graphql-env.d.ts': outputIntrospectionFile(minifyIntrospection(introspectionFromSchema(schema)), {
      fileType: '.d.ts',
    }),
  };
}
