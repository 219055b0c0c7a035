import { isDeepStrictEqual } from 'node:util';
import { z } from '@hono/zod-openapi';

/**
 * A documented parameter of a client's API. `honored`: it has the documented effect. `restricted`: only values without
 * an effect are accepted, because ignoring another value would change the meaning of the response. `ignored`: every
 * value is accepted and none has an effect.
 */
export interface Parameter<Schema extends z.ZodType = z.ZodType> {
  treatment: 'honored' | 'restricted' | 'ignored';
  schema: Schema;
  /** The description in the OpenAPI document and in schema/parameters.md. */
  note: string;
}

export type ParameterTable = Readonly<Record<string, Parameter>>;

/** Marks the description of a parameter that has no effect. schema/parameters.md lists every such parameter. */
export const ignoredMark = 'Ignored.';

/** Describes a parameter that is accepted without effect. `reason` is a sentence. */
export const ignoring = <Schema extends z.ZodType>(schema: Schema, reason: string): Schema =>
  schema.openapi({ description: `${ignoredMark} ${reason}` }) as Schema;

export function honored<Schema extends z.ZodType>(note: string, schema: Schema): Parameter<Schema> {
  return { treatment: 'honored', schema: schema.openapi({ description: note }) as Schema, note };
}

export function ignored(reason: string): Parameter {
  return { treatment: 'ignored', schema: ignoring(z.unknown().optional(), reason), note: reason };
}

/** Lists values as in a sentence: `a`, `a or b`, `a, b or c`. */
const either = (values: readonly string[]): string =>
  values.length < 2 ? values.join('') : `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`;

/** Accepts a missing or null parameter and the given values, which mean the same as a missing one. */
export function restricted(reason: string, accepted: readonly unknown[] = []): Parameter {
  const values = accepted.map((value) => JSON.stringify(value));
  const allowed = values.length > 0 ? `Omit it or send ${either(values)}.` : 'Omit it.';
  const schema = z
    .unknown()
    .optional()
    .refine((value) => value == null || accepted.some((each) => isDeepStrictEqual(each, value)), {
      message: `is not supported. ${reason} ${allowed}`,
    });
  const note = `${reason} ${values.length > 0 ? `Accepted values: null, ${values.join(', ')}.` : 'Accepted value: null.'}`;
  return { treatment: 'restricted', schema: schema.openapi({ description: `Not supported. ${note}` }), note };
}

/** Returns the shape of a request body from its table. */
export const shapeOf = <Table extends ParameterTable>(table: Table): { [Name in keyof Table]: Table[Name]['schema'] } =>
  Object.fromEntries(Object.entries(table).map(([name, { schema }]) => [name, schema])) as {
    [Name in keyof Table]: Table[Name]['schema'];
  };
