import type { Column, ColumnType } from './models.ts';
import { unsupported } from './unsupported.ts';

/** Converts a value of the arguments to a parameter of the statement. Throws UnsupportedReadError for other values. */
export type Encoder = (value: unknown) => unknown;

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const isoDate = /^(?!0000)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** PostgreSQL stores neither NUL nor half a surrogate pair. */
const isText = (value: unknown): value is string =>
  typeof value === 'string' && !value.includes('\0') && value.isWellFormed();

const encoders: Record<Exclude<ColumnType, readonly string[]>, Encoder> = {
  Int: (value) => (typeof value === 'number' && value === (value | 0) ? value : unsupported('an integer')),
  BigInt: (value) => {
    if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value);
    return typeof value === 'bigint' && BigInt.asIntN(64, value) === value
      ? String(value)
      : unsupported('a large integer');
  },
  Float: (value) => (typeof value === 'number' && Number.isFinite(value) ? value : unsupported('a number')),
  Boolean: (value) => (typeof value === 'boolean' ? value : unsupported('a boolean')),
  String: (value) => (isText(value) ? value : unsupported('a text')),
  Uuid: (value) => (typeof value === 'string' && uuid.test(value) ? value.toLowerCase() : unsupported('a UUID')),
  DateTime: (value) => {
    if (value instanceof Date && Number.isNaN(value.getTime())) unsupported('a date');
    const text = value instanceof Date ? value.toISOString() : value;
    return typeof text === 'string' && isoDate.test(text) ? text : unsupported('a date');
  },
  Json: () => unsupported('a JSON value'),
  Bytes: (value) => {
    if (!(value instanceof Uint8Array)) unsupported('bytes');
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  },
};

/** Returns the encoder of one value of a column, or of an element if the column is a list. */
export function encoderOf({ type }: Column): Encoder {
  if (typeof type === 'string') return encoders[type];
  const members = new Set<unknown>(type);
  return (value) => (members.has(value) ? value : unsupported('a value of the enum'));
}

/** Returns the encoder of a list of values, which PostgreSQL receives as the text of one array. */
export function listEncoderOf(column: Column): Encoder {
  const encode = encoderOf(column);
  if (column.type === 'Bytes') return () => unsupported('a list of bytes');
  const isQuoted = ['String', 'DateTime'].includes(column.type as string) || typeof column.type !== 'string';
  const element: Encoder = isQuoted ? (value) => quoted(encode(value) as string) : encode;
  return (value) => (Array.isArray(value) ? `{${value.map(element).join()}}` : unsupported('a list'));
}

const quoted = (text: string) => `"${text.replace(/[\\"]/g, '\\$&')}"`;

/** Returns the encoder of the number of rows of `take` or `skip`. */
export const encodeCount: Encoder = (value) =>
  typeof value === 'number' && value === (value | 0) ? Math.abs(value) : unsupported('a number of rows');
