import { encodeGlobalID } from '@pothos/plugin-relay';
import { badInput } from '../errors.ts';
import { nodeTypes } from './nodes.ts';

type Path = readonly (string | number)[];

const integer = /^-?\d{1,10}$/;
const uuid = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;

/** Returns whether a number fits an integer column. */
const fits = (number: number): boolean => number === (number | 0);

/** Returns the global ID of an object, for the payloads of delete mutations. */
export const globalId = (typename: string, id: string | number): string => encodeGlobalID(typename, id);

/** Returns the parts of a global ID, or null for any other text, such as a database ID. */
export function globalIdOf(text: string): { typename: string; id: string } | null {
  const decoded = Buffer.from(text, 'base64').toString('utf8');
  // Base64 decoding ignores invalid characters; only the exact encoding is a global ID.
  if (Buffer.from(decoded).toString('base64') !== text) return null;
  const [, typename, id] = /^([A-Z]\w*):(.+)$/s.exec(decoded) ?? [];
  return typename !== undefined && id !== undefined && nodeTypes().has(typename) ? { typename, id } : null;
}

const wrongType = (path: Path, typename: string, found: string) =>
  badInput([...path], `is the ID of an object of the type ${found}; expected ${typename}`, 'OTHER_TYPE');

/**
 * Returns the integer database ID for a value that is either that ID or the global ID of the type. The service decides
 * whether the object exists. Throws BAD_USER_INPUT for any other text and for the global ID of another type.
 */
export function integerId(value: string | number, typename: string, path: Path): number {
  const text = String(value);
  const named = integer.test(text) ? null : globalIdOf(text);
  if (named && named.typename !== typename) throw wrongType(path, typename, named.typename);
  const id = named?.id ?? text;
  if (!integer.test(id) || !fits(Number(id)))
    throw badInput(
      [...path],
      `must be the global ID or the integer database ID of an object of the type ${typename}`,
      'INTEGER_ID_EXPECTED',
    );
  return Number(id);
}

/**
 * Returns the integer database ID for a value that is either that ID or the global ID of one of several types, whose
 * objects have their IDs in common. Throws BAD_USER_INPUT for any other text and for the global ID of another type.
 */
function integerIdOf(value: string | number, typenames: readonly [string, ...string[]], path: Path): number {
  const named = globalIdOf(String(value))?.typename;
  return integerId(value, typenames.find((name) => name === named) ?? typenames[0], path);
}

/** Reads the ID of a credential of any kind: the integer ID or the global ID of any of its types. */
export const credentialId = (value: string | number, path: Path): number =>
  integerIdOf(value, ['UserCredential', 'ApiKey', 'ProjectToken', 'PersonalAccessToken'], path);

export const credentialIdDescription = 'by a global ID or the integer `databaseId`';

/**
 * Returns the UUID, in lower case, for a value that is either that UUID or the global ID of the type. The service
 * decides whether the object exists. Throws BAD_USER_INPUT for any other text and for the global ID of another type.
 */
export function uuidId(value: string | number, typename: string, path: Path): string {
  const text = String(value);
  const named = uuid.test(text) ? null : globalIdOf(text);
  if (named && named.typename !== typename) throw wrongType(path, typename, named.typename);
  const id = named?.id ?? text;
  if (!uuid.test(id))
    throw badInput(
      [...path],
      `must be the global ID or the UUID of an object of the type ${typename}`,
      'UUID_EXPECTED',
    );
  return id.toLowerCase();
}

/**
 * Returns the reference to an object whose own ID can be any text: `global`, the ID within the global ID of the type,
 * or `text`. Throws BAD_USER_INPUT for an empty text and for the global ID of another type.
 */
export function textId(value: string | number, typename: string, path: Path): { global: string } | { text: string } {
  const text = String(value);
  const named = globalIdOf(text);
  if (named && named.typename !== typename) throw wrongType(path, typename, named.typename);
  if (text === '') throw badInput([...path], `must be the ID of an object of the type ${typename}`, 'ID_EXPECTED');
  return named ? { global: named.id } : { text };
}

type Read<T> = (value: string | number, typename: string, path: Path) => T;

const listOf =
  <T>(read: Read<T>) =>
  (values: readonly (string | number)[], typename: string, path: Path): T[] =>
    values.map((value, index) => read(value, typename, [...path, index]));

/** List variants. An error names the entry that is invalid. */
export const integerIdList = listOf(integerId);
export const uuidIdList = listOf(uuidId);
export const textIdList = listOf(textId);
