import { randomUUID } from 'node:crypto';
import { encodeGlobalID } from '@pothos/plugin-relay';
import {
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLObjectType,
  type GraphQLOutputType,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isLeafType,
  isListType,
  isNonNullType,
  isRequiredArgument,
  isRequiredInputField,
  isUnionType,
} from 'graphql';
import { z } from 'zod';
import { isPermission } from '../../src/authz/permissions.ts';
import { type Requirement, requirementsOf } from '../../src/graphql/plugins/permissions.ts';
import { schema } from '../../src/graphql/schema.ts';
import type { Dialect } from '../../src/rest/dialect.ts';
import { type AnyEndpoint, endpointRequirements, rootFields } from '../../src/rest/endpoint.ts';
import { endpoints } from '../../src/rest/endpoints.ts';
import { dialectOf } from '../../src/rest/routes.ts';
import { send } from '../http-client.ts';
import type { Kit } from '../kit.ts';
import type { Caller } from './callers.ts';
import {
  fieldSamples,
  pathParameters,
  type RowCall,
  type RowSample,
  rowSamples,
  type Scene,
  variantRequirements,
} from './operation-inputs.ts';

/** One way to call one root field or one endpoint. */
export interface Operation {
  /** `Mutation.deleteAgent` or `DELETE /persona/{persona_id}`, followed by `#variant`. */
  name: string;
  kind: 'field' | 'row';
  /** The dialect of an endpoint. */
  dialect?: Dialect;
  /** Whether its name says that it changes something. */
  writes: boolean;
  /** Its requirements in the order in which they are checked. */
  requirements: Requirement[];
  /** Prepares the call; its target exists when this returns. */
  prepare(scene: Scene): Promise<Call>;
}

/** Sends a call. `prefix` is the path prefix of endpoints; fields do not use it. */
export type Call = (kit: Kit, caller: Caller, prefix?: '/api' | '') => Promise<Reply>;

export interface Reply {
  status: number;
  text: string;
  challenge: string | null;
  /** OK, or the code of the error: GraphQL's own, or the one that the dialect's response corresponds to. */
  verdict: string;
  /** The GraphQL error, or the body of a REST response. */
  body: unknown;
}

/** Returns a name without its variant. */
export const baseOf = (name: string): string => name.split('#')[0] as string;

const namesOf = (base: string, samples: object): string[] => [
  base,
  ...Object.keys(samples).filter((name) => name !== base && baseOf(name) === base),
];

// ---- GraphQL

const rootTypes = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()].filter(
  (type): type is GraphQLObjectType => type != null,
);

const fieldOperations = rootTypes.flatMap((type) =>
  Object.values(type.getFields()).flatMap((field) =>
    namesOf(`${type.name}.${field.name}`, fieldSamples).map((name): Operation => {
      const more = variantRequirements.get(name);
      return {
        name,
        kind: 'field',
        writes: type.name !== 'Query' && baseOf(name) !== 'Subscription.chatRun',
        requirements: [...requirementsOf(field), ...(more ?? [])],
        async prepare(scene) {
          const made = argumentsOf(field, (await fieldSamples[name]?.(scene)) ?? {});
          return (kit, caller) => callField(kit, caller, type, field, made);
        },
      };
    }),
  ),
);

/** Returns the given arguments and generated values for other required ones. */
function argumentsOf(field: GraphQLField<unknown, unknown>, sample: Record<string, unknown>): Record<string, unknown> {
  const made = Object.fromEntries(
    field.args.filter(isRequiredArgument).map(({ name, type }) => [name, sample[name] ?? madeUp(type)]),
  );
  const all: Record<string, unknown> = { ...sample, ...made };
  for (const { name, type } of field.args) {
    const named = getNamedType(type);
    if (isInputObjectType(named) && all[name] != null && !isListType(type))
      all[name] = { ...(madeUp(named) as object), ...(all[name] as object) };
  }
  return all;
}

/** Generates a valid value of a type; for an input object, its required fields. */
function madeUp(type: GraphQLInputType): unknown {
  if (isNonNullType(type)) return madeUp(type.ofType);
  if (isListType(type)) return [madeUp(type.ofType)];
  if (isEnumType(type)) return type.getValues()[0]?.name;
  // A sample operation must itself set exactly one field of a `oneOf` input.
  if (isInputObjectType(type) && type.isOneOf) return {};
  if (isInputObjectType(type))
    return Object.fromEntries(
      Object.values(type.getFields())
        .filter(isRequiredInputField)
        .map((field) => [field.name, madeUp(field.type)]),
    );
  const scalars: Record<string, unknown> = {
    Int: 1,
    SafeInt: 1_000_000_000,
    Float: 1,
    Boolean: true,
    String: 'matrix',
    ID: encodeGlobalID('Agent', 0),
    UUID: randomUUID(),
    DateTime: new Date(0).toISOString(),
    JSONObject: {},
    Upload: new File(['Planted.'], 'planted.txt'),
  };
  if (!(type.name in scalars)) throw new Error(`test/security/operations.ts: madeUp() knows no value of ${type.name}`);
  return scalars[type.name];
}

/**
 * Selects everything within four levels of a type that needs no argument and no permission that the caller lacks. An
 * object is not selected again within an object of its own type.
 */
function selection(type: GraphQLOutputType, caller: Caller, depth = 4, outer: readonly string[] = []): string {
  const named = getNamedType(type);
  const within = [...outer, named.name];
  if (isLeafType(named)) return '';
  if (isUnionType(named)) {
    const members = named.getTypes().map((member) => `... on ${member.name} ${selection(member, caller, 1)}`);
    return `{ __typename ${members.join(' ')} }`;
  }
  const fields = Object.values((named as GraphQLObjectType).getFields()).flatMap((field) => {
    const refused = requirementsOf(field).some((name) => isPermission(name) && !caller.permissions.has(name));
    // `edges` repeats `nodes`, and members of a union have fields with the same name and different types.
    if (refused || field.args.some(isRequiredArgument) || field.name === 'edges') return [];
    if (isLeafType(getNamedType(field.type))) return [field.name];
    const inner = getNamedType(field.type);
    return depth > 1 && !isUnionType(inner) && !within.includes(inner.name)
      ? [`${field.name} ${selection(field.type, caller, depth - 1, within)}`]
      : [];
  });
  return `{ __typename ${fields.join(' ')} }`;
}

/** Returns the files among the variables with their paths. */
const filesIn = (value: unknown, path = 'variables'): { path: string; file: File }[] => {
  if (value instanceof File) return [{ path, file: value }];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => filesIn(inner, `${path}.${key}`));
};

function multipart(operation: string, files: readonly { path: string; file: File }[]): FormData {
  const form = new FormData();
  form.append('operations', operation);
  form.append('map', JSON.stringify(Object.fromEntries(files.map(({ path }, index) => [index, [path]]))));
  files.forEach(({ file }, index) => {
    form.append(String(index), file);
  });
  return form;
}

/** Returns a body with files: each of its fields is a list of parts. */
function formOf(body: Record<string, unknown>): FormData {
  const form = new FormData();
  for (const [name, values] of Object.entries(body))
    for (const value of values as unknown[]) form.append(name, value instanceof File ? value : String(value));
  return form;
}

async function callField(
  kit: Kit,
  caller: Caller,
  type: GraphQLObjectType,
  field: GraphQLField<unknown, unknown>,
  variables: Record<string, unknown>,
): Promise<Reply> {
  const given = field.args.filter(({ name }) => name in variables);
  const declared = given.map((arg) => `$${arg.name}: ${arg.type}`).join(', ');
  const passed = given.map(({ name }) => `${name}: $${name}`).join(', ');
  const list = (text: string) => (text === '' ? '' : `(${text})`);
  const query = `${type.name.toLowerCase()} ${list(declared)} { ${field.name}${list(passed)} ${selection(field.type, caller)} }`;
  const streams = type.name === 'Subscription';
  const files = filesIn(variables);
  const operation = JSON.stringify({ query, variables }, (_key, value) => (value instanceof File ? null : value));
  const { status, headers, text } = await send(`${kit.url}/graphql`, {
    method: 'POST',
    headers: {
      ...(files.length === 0 && { 'content-type': 'application/json' }),
      ...(streams && { accept: 'text/event-stream' }),
      ...(caller.secret !== null && { authorization: `Bearer ${caller.secret}` }),
    },
    body: files.length === 0 ? operation : multipart(operation, files),
  });
  const json = headers.get('content-type')?.startsWith('application/json') ?? true;
  const payloads = json ? [text] : [...text.matchAll(/^data: (.+)$/gm)].map(([, data]) => data as string);
  const parsed = payloads.map((payload) => JSON.parse(payload));
  const error = parsed.flatMap(({ errors }) => errors ?? [])[0];
  return {
    status,
    text,
    challenge: headers.get('www-authenticate'),
    verdict: error ? (error.extensions?.code ?? 'NO CODE') : parsed.length > 0 ? 'OK' : 'NO ANSWER',
    body: error ?? parsed[0],
  };
}

// ---- REST

export const rowName = (row: AnyEndpoint) => `${row.method.toUpperCase()} ${row.path}`;

const rowOperations = endpoints.flatMap((row) =>
  namesOf(rowName(row), rowSamples).map((name): Operation => {
    const asked = endpointRequirements(row);
    return {
      name,
      kind: 'row',
      dialect: dialectOf(row),
      // Some operations read by POST, since their parameters do not fit into a URL.
      writes: row.method !== 'get' && rootFields(row.document).some(({ operation }) => operation !== 'Query'),
      requirements: asked.length > 0 ? asked : ['public'],
      async prepare(scene) {
        const made = await rowCall(row, scene, name);
        return (kit, caller, prefix = '/api') => callRow(kit, caller, prefix, row, made);
      },
    };
  }),
);

/** Returns the request of an endpoint: its sample with the required fields of its schema. */
export async function rowCall(row: AnyEndpoint, scene: Scene, name = rowName(row)): Promise<RowCall> {
  const sample: RowSample = rowSamples[name] ?? (async () => ({}));
  const made = await sample(scene);
  const params = { ...made.params };
  for (const [, parameter] of row.path.matchAll(/\{(\w+)\}/g) as Iterable<[string, string]>) {
    const make = pathParameters[parameter];
    if (!make && !(parameter in params))
      throw new Error(`${name}: say in test/security/samples.ts, pathParameters, what stands for {${parameter}}`);
    params[parameter] ??= (await make?.(scene)) as string;
  }
  const body = row.body && { ...(madeUpBody(row) as object), ...made.body };
  return { ...made, params, ...(body && { body }) };
}

/** Generates a body with the required fields of an endpoint. */
const madeUpBody = (row: AnyEndpoint): unknown => fromJsonSchema(jsonSchemaOf(row.body));

const jsonSchemas = new WeakMap<object, JsonSchema>();

/** Returns the JSON schema of what a type accepts. */
export function jsonSchemaOf(type: object | undefined): JsonSchema {
  if (!type) return {};
  const known = jsonSchemas.get(type);
  if (known) return known;
  const made = z.toJSONSchema(type as z.ZodType, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
  jsonSchemas.set(type, made);
  return made;
}

export interface JsonSchema {
  type?: string;
  enum?: unknown[];
  const?: unknown;
  anyOf?: JsonSchema[];
  required?: string[];
  properties?: Record<string, JsonSchema>;
  items?: JsonSchema;
  minItems?: number;
  format?: string;
}

function fromJsonSchema(shape: JsonSchema, name = ''): unknown {
  if (shape.const !== undefined) return shape.const;
  if (shape.enum) return shape.enum[0];
  if (shape.anyOf?.[0]) return fromJsonSchema(shape.anyOf[0], name);
  switch (shape.type) {
    case 'object':
      return Object.fromEntries(
        (shape.required ?? []).map((key) => [key, fromJsonSchema(shape.properties?.[key] ?? {}, key)]),
      );
    case 'array':
      if (name === 'files') return [new File(['Planted.'], 'planted.txt')];
      return shape.minItems ? [fromJsonSchema(shape.items ?? {})] : [];
    case 'boolean':
      // Objects are listed and visible by default; other flags are false.
      return !/listed|visible/.test(name);
    case 'integer':
    case 'number':
      return 1;
    case 'string':
      if (shape.format === 'uuid') return randomUUID();
      return shape.format === 'date-time' ? new Date(0).toISOString() : `matrix ${randomUUID()}`;
    default:
      return null;
  }
}

export async function callRow(
  kit: Kit,
  caller: Caller,
  prefix: string,
  row: AnyEndpoint,
  call: RowCall,
): Promise<Reply> {
  const path = row.path.replaceAll(/\{(\w+)\}/g, (_, name) => encodeURIComponent(String(call.params?.[name])));
  const query = call.query ? `?${new URLSearchParams(call.query)}` : '';
  const answer = await kit.rest(row.method.toUpperCase(), `${prefix}${path}${query}`, {
    key: caller.secret,
    ...(call.body && { body: row.form === 'files' ? formOf(call.body) : call.body }),
  });
  const { status, text, body, headers } = answer;
  // A failed stream reports the error in its lines.
  const failedLine = /^\{"error":.*"error_code":"(\w+)"/m.exec(text)?.[1];
  return {
    status,
    text,
    challenge: headers.get('www-authenticate'),
    body,
    verdict: failedLine ?? restVerdict(status, text, body),
  };
}

interface Refusal {
  error_code?: string;
  detail?: string;
  error?: string | { code: string | null };
}

/** Returns the outcome that a response of any dialect represents. */
function restVerdict(status: number, text: string, body: Refusal | undefined): string {
  if (status < 400) return 'OK';
  if (status === 401 && text === 'Unauthorized') return 'FORBIDDEN';
  const code = typeof body?.error === 'object' ? body.error.code : null;
  if (status === 401 || body?.error === 'No valid api key found.' || code === 'invalid_api_key')
    return 'UNAUTHENTICATED';
  if (status === 403 && (body?.error_code === 'INSUFFICIENT_PERMISSIONS' || body?.error)) return 'FORBIDDEN';
  if (status === 403 && strangerDetails.includes(body?.detail ?? '')) return 'UNAUTHENTICATED';
  return status === 422 ? 'BAD_USER_INPUT' : String(status);
}

/** The messages of the dialect for unauthenticated callers. */
const strangerDetails = ['Access denied. User is not authenticated.', 'Unauthorized'];

/** All root fields and endpoints with all their variants. */
export const operations: readonly Operation[] = [...fieldOperations, ...rowOperations];

/** Returns inputs whose field or endpoint no longer exists. */
export const idleSamples = (): string[] =>
  [...Object.keys(fieldSamples), ...Object.keys(rowSamples)].filter(
    (name) => !operations.some((operation) => operation.name === name),
  );
