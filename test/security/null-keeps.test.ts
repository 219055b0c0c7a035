import {
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLObjectType,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isRequiredInputField,
} from 'graphql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { schema } from '../../src/graphql/schema.ts';
import { rootFields } from '../../src/rest/endpoint.ts';
import { endpoints } from '../../src/rest/endpoints.ts';
import { readAfterWrites } from '../fingerprint.ts';
import { type Kit, startKit } from '../kit.ts';
import { type Caller, grantOf, keyOf } from './callers.ts';
import { endsItsCaller, fieldSamples, type Scene } from './operation-inputs.ts';
import { callRow, jsonSchemaOf, rowCall, rowName } from './operations.ts';
import { freshTargets, type Targets } from './targets.ts';

/**
 * TOK 25: null in an update changes nothing. Clients that are generated from a schema send null for every field that
 * they do not set, so a null must neither lift a restriction nor drop content. Every field of every update mutation and
 * of every REST endpoint that executes one is sent as null to an object whose fields have values.
 */
let kit: Kit;
let admin: Caller;
let targets: Targets;

beforeAll(async () => {
  kit = await startKit();
  admin = await keyOf(kit, 'admin', 'ADMIN');
  targets = freshTargets(kit, admin.userId);
  stored = await contentsOf(kit);
});
afterAll(() => kit?.close());

const scene = (): Scene => ({ targets, grant: grantOf(admin), word: 'throwaway' });

/** Columns that every write or every use changes. */
const volatile = ['updatedAt', 'lastUsedAt', 'lastUsedAddress', 'search'];

type Contents = Record<string, string[]>;

/** Returns the content of every table but the audit trail, by table. */
let stored: () => Promise<Contents>;

const tablesStatement = `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'
  AND table_type = 'BASE TABLE' AND table_name NOT IN ('AuditEvent', 'IdempotencyRecord', '_prisma_migrations')`;

async function contentsOf({ booted }: Kit): Promise<() => Promise<Contents>> {
  const { db } = booted.foundation;
  const ask = <Row>(text: string) => db.query<Row>({ name: '', text }, []);
  const columns = volatile.map((column) => `'${column}'`).join(', ');
  const names = (await ask<{ name: string }>(tablesStatement)).map(({ name }) => name);
  const selects = names.map(
    (name) => `SELECT '${name}' AS name, (to_jsonb(t) - ARRAY[${columns}])::text AS row FROM "${name}" t`,
  );
  const statement = `${selects.join(' UNION ALL ')} ORDER BY 1, 2`;
  return readAfterWrites(db, async () => {
    const contents: Contents = Object.fromEntries(names.map((name) => [name, []]));
    for (const { name, row } of await ask<{ name: string; row: string }>(statement)) contents[name]?.push(row);
    return contents;
  });
}

const isUpdate = (name: string): boolean => /^(?:update|set|share|curate|change)/.test(name);

type Json = Record<string, unknown>;
const tomorrow = new Date(Date.now() + 86_400_000).toISOString();

const examples: Record<string, unknown> = {
  Int: 2,
  SafeInt: 2000,
  Float: 0.5,
  Boolean: true,
  String: 'kept',
  DateTime: tomorrow,
};

/** Returns a value of an input type that the server may accept, or undefined for nested inputs and IDs. */
function exampleOf(type: GraphQLInputType): unknown {
  if (isNonNullType(type)) return exampleOf(type.ofType);
  if (isListType(type)) {
    const item = exampleOf(type.ofType);
    return item === undefined ? undefined : [item];
  }
  if (isEnumType(type)) return type.getValues()[0]?.name;
  return isInputObjectType(type) ? undefined : examples[type.name];
}

async function mutate(name: string, inputType: string, input: Json): Promise<string> {
  const { status, errors } = await kit.gql(
    `mutation ($input: ${inputType}!) { ${name}(input: $input) { __typename } }`,
    { input },
    admin.secret,
  );
  const code = String(errors[0]?.extensions.code ?? 'OK');
  expect(status < 500 && code !== 'INTERNAL', `${name} ${JSON.stringify(input)}: ${errors[0]?.message}`).toBe(true);
  return code;
}

describe('null in a GraphQL update', () => {
  const updates = Object.values((schema.getMutationType() as GraphQLObjectType).getFields()).filter(
    ({ name, args }) => isUpdate(name) && args[0]?.name === 'input' && fieldSamples[`Mutation.${name}`],
  );

  it.each(updates.map((field) => [field.name, field] as const))(
    'changes no data in %s',
    async (name, field: GraphQLField<unknown, unknown>) => {
      const inputType = getNamedType((field.args[0] as { type: GraphQLInputType }).type);
      if (!isInputObjectType(inputType)) throw new Error(`${name}: its input is not an object`);
      const { input: sample = {} } = ((await fieldSamples[`Mutation.${name}`]?.(scene())) ?? {}) as { input?: Json };
      const all = Object.values(inputType.getFields());
      const isTarget = (key: string) => key in sample && /^(?:id|agent|user|\w+Id)$/.test(key);
      const target = Object.fromEntries(
        all
          .filter((each) => isTarget(each.name) || isRequiredInputField(each))
          .map((each) => [each.name, sample[each.name]]),
      );
      const optional = all.filter((each) => !(each.name in target) && each.name !== 'clear');
      await mutate(name, inputType.name, sample);
      for (const each of optional) {
        const value = exampleOf(each.type);
        if (value !== undefined) await mutate(name, inputType.name, { ...target, [each.name]: value });
      }
      const before = await stored();
      for (const each of optional) {
        await mutate(name, inputType.name, { ...target, [each.name]: null });
        expect(await stored(), `${name} with ${each.name}: null`).toEqual(before);
      }
      await mutate(name, inputType.name, {
        ...target,
        ...Object.fromEntries(optional.map((each) => [each.name, null])),
      });
      expect(await stored(), `${name} with every field null`).toEqual(before);
    },
  );

  it('is tested for the main update mutations', () => {
    expect(updates.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['updateAgent', 'updateApiKey', 'updateProjectToken', 'updateRateLimit', 'updateUser']),
    );
  });
});

describe('null in a REST update', () => {
  const updates = endpoints.filter(
    (row) =>
      row.body &&
      row.form !== 'files' &&
      !endsItsCaller.has(rowName(row)) &&
      rootFields(row.document).some(({ operation, name }) => operation === 'Mutation' && isUpdate(name)),
  );
  const jsonExamples: Record<string, unknown> = { string: 'kept', integer: 2, number: 0.5, boolean: true };

  it.each(updates.map((row) => [rowName(row), row] as const))('changes no data in %s', async (name, row) => {
    const call = await rowCall(row, scene());
    const properties = Object.entries(jsonSchemaOf(row.body).properties ?? {});
    const send = async (body: Json) => {
      const { status, text } = await callRow(kit, admin, '/api', row, { ...call, body });
      expect(status, `${name} ${JSON.stringify(body)}: ${text}`).toBeLessThan(500);
    };
    const sent = call.body as Json;
    for (const [field, { type, anyOf }] of properties) {
      const kind = type ?? anyOf?.find((each) => each.type !== 'null')?.type;
      const value = jsonExamples[String(kind)];
      if (value !== undefined && !(field in sent) && field !== 'clear') await send({ ...sent, [field]: value });
    }
    await send(sent);
    const before = await stored();
    for (const [field] of properties) {
      await send({ ...sent, [field]: null });
      expect(await stored(), `${name} with ${field}: null`).toEqual(before);
    }
  });
});
