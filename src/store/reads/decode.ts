import type { Column } from './models.ts';
import { unsupported } from './unsupported.ts';

/** Converts a value that is not null from its form in JSON. */
export type Decoder = (value: never) => unknown;

/**
 * The decoders by type. Types that are absent have the same form in JSON as in JavaScript; bytes and large integers are
 * texts, see {@link jsonValue}.
 */
const decoders: Partial<Record<string, Decoder>> = {
  BigInt: (text: string) => BigInt(text),
  Bytes: (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex')),
  DateTime: (text: string) => {
    const date = new Date(text);
    return Number.isNaN(date.getTime()) ? unsupported('a date outside of the range of JavaScript') : date;
  },
  // JSON has no infinities; PostgreSQL writes them as texts.
  Float: Number,
};

/** Returns the decoder of a column; undefined if its values need no conversion. */
export function decoderOf({ type, list }: Column): Decoder | undefined {
  const decode = typeof type === 'string' ? decoders[type] : undefined;
  return decode && list ? (values: never[]) => values.map((value) => decode(value)) : decode;
}

/** Returns a column as a value of `json_build_array`. */
export function jsonValue({ type, list }: Column, sql: string): string {
  if (type === 'Bytes') return list ? unsupported('a list of bytes') : `encode(${sql}, 'hex')`;
  if (type === 'BigInt') return `${sql}::text${list ? '[]' : ''}`;
  return sql;
}
