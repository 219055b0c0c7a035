import type { GraphQLError } from 'graphql';
import type { FieldProblem } from '../errors.ts';
import { alternatives } from '../validation-messages.ts';
import { enumValues } from './enum-values.ts';
import { renamedValue, withNewName } from './renames.ts';

function oneOf(type: string, value?: string): string {
  const values = enumValues.get(type);
  if (!values) return 'is not one of the allowed values';
  const renamed = value === undefined ? null : renamedValue(type, value);
  return renamed ? `is not one of the allowed values.${renamed}` : `must be one of ${alternatives(values)}`;
}

/** A message of graphql-js, the message that replaces it, and whether its first group names a field within the value. */
type Wording = [pattern: RegExp, message: string | ((...groups: string[]) => string), ofField?: true];

const wordings: Wording[] = [
  [/^Int cannot represent non 32-bit/, 'must be a whole number from -2147483648 to 2147483647'],
  [/^SafeInt cannot represent unsafe/, 'must be a whole number from -9007199254740991 to 9007199254740991'],
  [/^(?:Int|SafeInt) cannot represent/, 'must be a whole number'],
  [/^Float cannot represent/, 'must be a number'],
  [/^String cannot represent/, 'must be a string'],
  [/^Boolean cannot represent/, 'must be true or false'],
  [/^ID cannot represent/, 'must be a string or a whole number'],
  [/^Enum "(\w+)" cannot represent(?: non-enum value: "([^"]*)")?/, oneOf],
  [/^Value "([^"]*)" does not exist in "(\w+)" enum/, (value = '', type = '') => oneOf(type, value)],
  [/^Value is not (?:string|a valid UUID)|the type UUID/, 'must be a UUID'],
  [/^DateTime cannot represent a year/, 'must have a year from 1 to 9999'],
  [/^DateTime cannot|the type DateTime/, 'must be a date and time in ISO 8601, such as 2026-01-31T12:00:00Z'],
  [/^JSONObject|the type JSONObject/, 'must be an object'],
  [/^A file/, 'must be a file, as a part of a multipart request'],
  [/^Expected non-nullable type|must not be null\.$/, 'must not be null'],
  [/^Expected type "\w+" to be an object/, 'must be an object'],
  [/^Exactly one key must be specified/, 'must have exactly one field'],
  [/^Field "(?:\w+\.)?(\w+)" of required type/, 'is required', true],
  [/^Field "(\w+)" must be non-null/, 'must not be null', true],
  [
    /^Field "(\w+)" is not defined by type "\w+"\.(.*)$/,
    (_field = '', hint = '') => `is not a known field${hint && `.${hint}`}`,
    true,
  ],
  [/of required type .* was not provided/, 'is required'],
];

/** Returns the plain form of a message of graphql-js, and the field within the value that it concerns. */
function reworded(message: string): { text: string; field?: string } | null {
  const current = withNewName(message);
  for (const [pattern, words, ofField] of wordings) {
    const [found, ...groups] = pattern.exec(current) ?? [];
    if (found === undefined) continue;
    const text = typeof words === 'string' ? words : words(...groups);
    return ofField && groups[0] !== undefined ? { text, field: groups[0] } : { text };
  }
  return null;
}

/**
 * Converts the error of graphql-js for a variable, `Variable "$input" got invalid value 1 at "input.a[0]"; …`. Returns
 * null for other errors. The value is not quoted because it can be a password.
 */
export function variableProblem({ message, originalError }: GraphQLError): FieldProblem | null {
  const variable = /^Variable "\$(\w+)" (?:got invalid value|of (?:required|non-null) type)/.exec(message)?.[1];
  if (variable === undefined) return null;
  const at = / at "([\w.[\]]+)"; /.exec(message)?.[1] ?? variable;
  const path = at
    .split(/[.[\]]+/)
    .filter(Boolean)
    .map((key) => (/^\d+$/.test(key) ? Number(key) : key));
  const { text, field } = reworded(originalError?.message ?? message) ?? { text: 'is not valid' };
  return { path: field === undefined || path.at(-1) === field ? path : [...path, field], message: text };
}

/**
 * Returns the message for a value of the wrong type in the document itself, or null for other errors. The value is not
 * quoted because it can be a password.
 */
export function literalMessage({ message, nodes, locations }: GraphQLError): string | null {
  const [at] = locations ?? [];
  if (!nodes || !at) return null;
  const place = `the value at line ${at.line}, column ${at.column}`;
  const [, type] = /^Expected value of type "([^"]+)", found /.exec(message) ?? [];
  if (type !== undefined) {
    const hint = / Did you mean [^?]*\?/.exec(message)?.[0] ?? '';
    return `T${place.slice(1)} must be of the type \`${type}\`.${hint}`;
  }
  if (!/ cannot represent |does not exist in "\w+" enum|is not defined by type|of required type/.test(message))
    return null;
  const problem = reworded(message);
  if (!problem) return null;
  const { text, field } = problem;
  const sentence = field === undefined ? `T${place.slice(1)} ${text}` : `\`${field}\` in ${place} ${text}`;
  return /[.?]$/.test(sentence) ? sentence : `${sentence}.`;
}
