import { isInputObjectType } from 'graphql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { schema } from '../../src/graphql/schema.ts';
import type { AnyEndpoint } from '../../src/rest/endpoint.ts';
import { endpoints } from '../../src/rest/endpoints.ts';
import { type Kit, startKit } from '../kit.ts';
import { type Caller, grantOf, keyOf } from './callers.ts';
import { endsItsCaller, type RowCall, type Scene } from './operation-inputs.ts';
import { callRow, type JsonSchema, jsonSchemaOf, rowCall, rowName } from './operations.ts';
import { freshTargets, type Targets } from './targets.ts';

/**
 * Sends invalid values in every field of every REST endpoint: the error names the fields as the caller spells them and
 * says in plain English what is allowed.
 */
let kit: Kit;
let admin: Caller;
let targets: Targets;

beforeAll(async () => {
  kit = await startKit();
  admin = await keyOf(kit, 'admin', 'ADMIN');
  targets = freshTargets(kit, admin.userId);
});
afterAll(() => kit?.close());

const scene = (): Scene => ({ targets, grant: grantOf(admin), word: 'throwaway' });

/** Values that few fields accept: of each type, with a character that no text may contain, and out of range. */
const values: unknown[] = [1e11, true, 'no\0thing', '', ['no\0thing'], {}];
/** Above every limit. For the outer fields only: it costs more than the others together. */
const longText = 'x'.repeat(201_000);

type Path = readonly (string | number)[];

/** Returns the paths of the fields of a schema, including those within objects and lists. */
function pathsOf(shape: JsonSchema, path: Path = []): Path[] {
  const branches = [shape, ...(shape.anyOf ?? [])];
  return branches.flatMap(({ properties = {}, items }) => [
    ...Object.entries(properties).flatMap(([name, inner]) => [[...path, name], ...pathsOf(inner, [...path, name])]),
    ...(items && path.length > 0 ? [[...path, 0], ...pathsOf(items, [...path, 0])] : []),
  ]);
}

const fieldsOf = (type: object | undefined): Path[] => pathsOf(jsonSchemaOf(type));

/** Returns a copy with a value at a path. Creates the objects and lists that contain it. */
function withValue(whole: unknown, [key, ...rest]: Path, value: unknown): unknown {
  if (key === undefined) return value;
  const inner = withValue((whole as Record<string | number, unknown> | null | undefined)?.[key], rest, value);
  return typeof key === 'number' ? [inner] : { ...(whole as object | null), [key]: inner };
}

/** The names of arguments and input fields of the GraphQL API. */
const graphNames = new Set(
  Object.values(schema.getTypeMap()).flatMap((type) => {
    if (isInputObjectType(type)) return Object.keys(type.getFields());
    if (!('getFields' in type)) return [];
    return Object.values(type.getFields()).flatMap((field) =>
      'args' in field ? field.args.map(({ name }) => name) : [],
    );
  }),
);

const zodWords =
  /expected \w+, received|Invalid (input|type|option|string|number|key|element)|Too (big|small)|to (be|have) [<>]=|Unrecognized key/;
const graphWords = /\binput\.|Variable "\$|cannot represent|of required type|got invalid value|global ID/;

interface Wrong {
  row: string;
  sent: string;
  reply: string;
  why: string;
}

/** The fields that an error message starts with: `name` of `"detail":"name: must not be blank"`. */
const leadingField = /"(?:message|detail|error)":"([A-Za-z_]\w*)[\w.[\]]*: /;

/** Returns why the wording of a reply is wrong, or null. */
function faultOf(row: AnyEndpoint, call: RowCall, text: string): string | null {
  if (zodWords.test(text)) return 'the phrasing of zod';
  if (graphWords.test(text)) return 'the phrasing of GraphQL';
  const own = new Set(
    [...[row.body, row.query].flatMap(fieldsOf).flat(), ...Object.keys(call.params ?? {})].map(String),
  );
  const words = text.match(/\b[a-z]+(?:[A-Z]\w*)+\b/g) ?? [];
  const foreign = words.find((word) => graphNames.has(word) && !own.has(word));
  if (foreign) return `the name \`${foreign}\` of the GraphQL API`;
  const [, name] = leadingField.exec(text) ?? [];
  if (name === undefined || /^(?:body|query|path)$/.test(name)) return null;
  const isSent = [call.body, call.query, call.params].some((part) => Object.hasOwn(part ?? {}, name));
  return isSent || (own.has(name) && text.includes(': is required')) ? null : `a field that was not sent: ${name}`;
}

async function wrongRepliesOf(row: AnyEndpoint): Promise<Wrong[]> {
  const wrong: Wrong[] = [];
  let call = await rowCall(row, scene());
  const cases: RowCall[] = [];
  for (const path of row.form === 'files' ? [] : fieldsOf(row.body))
    for (const value of path.length === 1 ? [...values, longText] : values)
      cases.push({ body: withValue(call.body, path, value) as Record<string, unknown> });
  for (const [name] of fieldsOf(row.query))
    for (const value of [...values, longText].filter((each) => typeof each !== 'object'))
      cases.push({ query: { ...call.query, [String(name)]: String(value).slice(0, 3000) } });
  for (const change of cases) {
    const sent = { ...call, ...change };
    const { status, text } = await callRow(kit, admin, '/api', row, sent);
    expect(status, `${rowName(row)} ${text.slice(0, 300)}`).toBeLessThan(500);
    // The object may have been deleted.
    if (status < 300) call = await rowCall(row, scene());
    const isError = status >= 400 || /"error":(?!null)/.test(text);
    const why = isError ? faultOf(row, sent, text) : null;
    if (why !== null)
      wrong.push({ row: rowName(row), sent: JSON.stringify(change).slice(0, 200), reply: text.slice(0, 300), why });
  }
  return wrong;
}

describe('an error of a REST endpoint', () => {
  const fielded = endpoints.filter((row) => (row.body || row.query) && !endsItsCaller.has(rowName(row)));

  it.each(fielded.map((row) => [rowName(row), row] as const))(
    'of %s names fields as its clients spell them',
    { timeout: 120_000 },
    async (_name, row) => {
      expect(await wrongRepliesOf(row)).toEqual([]);
    },
  );
});
