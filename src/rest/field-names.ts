import { isDeepStrictEqual } from 'node:util';
import { z } from '@hono/zod-openapi';
import { type DocumentNode, Kind, type ValueNode } from 'graphql';
import type { FieldReason } from '../error-reasons.ts';
import { type AppError, withMessage, wrongFields } from '../errors.ts';

type Path = readonly (string | number)[];

/** The parts of a request with their names in the paths of errors. */
const parts = { body: 'body', query: 'query', params: 'path' } as const;
type Part = keyof typeof parts;

/** Describes how a request is mapped onto a GraphQL document. `variables` is a pure function of the request. */
export interface Mapping<Input> {
  document: DocumentNode;
  variables: (input: Input) => unknown;
  input: Input;
  /** The schemas of the request, which name the fields that were not sent. */
  shapes: { [part in Part]?: z.ZodType | undefined };
}

/** Returns the names of the fields of a schema, including those of wrapped and alternative schemas. */
export function fieldsOf(shape: z.ZodType | undefined): string[] {
  if (shape instanceof z.ZodObject) return Object.keys(shape.shape);
  if (shape instanceof z.ZodUnion) return shape.options.flatMap((option) => fieldsOf(option as z.ZodType));
  if (shape instanceof z.ZodOptional || shape instanceof z.ZodNullable || shape instanceof z.ZodDefault)
    return fieldsOf(shape.unwrap() as z.ZodType);
  if (shape instanceof z.ZodPipe) return [...fieldsOf(shape.in as z.ZodType), ...fieldsOf(shape.out as z.ZodType)];
  return [];
}

/** Maximum number of trials of a mapping for one error, and of the items of a list that are tried. */
const maxTrials = 150;
const maxItems = 20;

/** Values that replace the value of a field, until one of them changes the variable. */
const substitutes: readonly unknown[] = [undefined, null, 'x', 1, true, [], {}, ['x'], '2001-01-01T00:00:00Z'];

const valueAt = (value: unknown, path: Path): unknown =>
  path.reduce<unknown>((inner, key) => (inner as Record<string | number, unknown> | null | undefined)?.[key], value);

/** Returns a copy with another value at a path. */
function withValue(value: unknown, [key, ...rest]: Path, replacement: unknown): unknown {
  if (key === undefined) return replacement;
  const inner = withValue((value as Record<string | number, unknown> | null | undefined)?.[key], rest, replacement);
  if (!Array.isArray(value)) return { ...(value as object | null | undefined), [key]: inner };
  const copy = [...value];
  copy[Number(key)] = inner;
  return copy;
}

/**
 * Returns the path of an argument of a root field within the variables, or null when no variable provides it: `["id"]`
 * for `["input", "id"]` of `f(input: { id: $id })`.
 */
function variableOf(document: DocumentNode, field: string | undefined, [name, ...rest]: Path): Path | null {
  const within = (value: ValueNode, path: Path): Path | null => {
    if (value.kind === Kind.VARIABLE) return [value.name.value, ...path];
    if (value.kind !== Kind.OBJECT) return null;
    const inner = value.fields.find((each) => each.name.value === path[0]);
    return inner ? within(inner.value, path.slice(1)) : null;
  };
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
    for (const selection of definition.selectionSet.selections) {
      if (selection.kind !== Kind.FIELD) continue;
      if (field !== undefined && (selection.alias ?? selection.name).value !== field) continue;
      const argument = selection.arguments?.find((each) => each.name.value === name);
      const found = argument && within(argument.value, rest);
      if (found && found.length > 0) return found;
    }
  }
  return null;
}

/**
 * Finds the field of a request that provides a variable: the field whose value changes the variable. Fields that were
 * sent take precedence over fields that were omitted.
 */
class Origins<Input extends Partial<Record<Part, unknown>>> {
  private trials = 0;
  private readonly mapped: unknown;

  constructor(private readonly mapping: Mapping<Input>) {
    this.mapped = mapping.variables(mapping.input);
  }

  /** Returns the path of the field, `["body", "expires_at"]`, or null when there is none. */
  of(variable: Path): Path | null {
    // A list or an object of the request can be mapped to a single value, and a single value to a list or an object.
    for (let length = variable.length; length > 0; length--) {
      const found = this.ofExactly(variable.slice(0, length));
      if (found) return found;
    }
    return null;
  }

  /** Returns the path of the field that provides the variable itself, not a list or an object that contains it. */
  ofExactly(variable: Path): Path | null {
    const { input, shapes } = this.mapping;
    const fields = (Object.keys(parts) as Part[]).flatMap((part) => {
      const sent = Object.keys((input[part] as object | null | undefined) ?? {});
      return [...new Set([...sent, ...fieldsOf(shapes[part])])].map((name): Path => [part, name]);
    });
    const isSent = (field: Path) => valueAt(input, field) != null;
    return (
      this.among(fields.filter(isSent), variable) ??
      this.among(
        fields.filter((field) => !isSent(field)),
        variable,
      )
    );
  }

  /** Returns the deepest of several fields that provides the variable. Several fields can provide an object. */
  private among(fields: readonly Path[], variable: Path): Path | null {
    const found: Path[] = [];
    for (const field of alikeFirst(fields, variable)) {
      const effect = this.effectOf(field, variable);
      // The mapping fails with every other value of this field, or ignores it, but may use a part of it.
      const origin =
        effect === true
          ? this.deepest(field, variable)
          : (effect === 'unknown' || isAlike(field, variable)) && this.among(this.within(field, variable), variable);
      if (!origin) continue;
      const value = valueAt(this.mapped, variable);
      // An empty list comes from any of the fields that were omitted.
      if (!isObject(value) || (Array.isArray(value) && value.length === 0)) return origin;
      found.push(origin);
    }
    const [first = null, ...others] = found;
    return others.length > 0 ? common(found) : first;
  }

  /** Returns the field within a field that provides the variable; the field itself if there is not exactly one. */
  private deepest(field: Path, variable: Path): Path {
    const inner = this.within(field, variable);
    const value = valueAt(this.mapped, variable);
    if (!isObject(value)) return this.among(inner, variable) ?? field;
    // An object comes from the field without which it is absent. A list without an item is still a list, unless the
    // variable is a part of that item.
    const isList = Array.isArray(value) && Array.isArray(valueAt(this.mapping.input, field));
    const isPart = (path: Path) => indexesOf(field) < indexesOf(variable) && isAlike(path, variable);
    const parts = isList ? inner.filter(isPart) : inner;
    const essential = parts.find((each) => this.isEssential(each, variable));
    return essential ? this.deepest(essential, variable) : field;
  }

  /** Returns the fields within a field: those that were sent, and those that are named like the variable. */
  private within(field: Path, variable: Path): Path[] {
    const value = valueAt(this.mapping.input, field);
    if (!isObject(value)) return [];
    const keys = Array.isArray(value)
      ? indexes(value.length, variable)
      : [...new Set([...Object.keys(value), ...spellings(variable)])];
    return keys.map((key) => [...field, key]);
  }

  /** Returns whether the variable depends on a field and is absent without it. */
  private isEssential(field: Path, variable: Path): boolean {
    const after = this.trial(field, undefined);
    const left = after && valueAt(after.mapped, variable);
    const isAbsent = left == null || (Array.isArray(left) && left.length === 0);
    return isAbsent && this.effectOf(field, variable) !== false;
  }

  /** Returns whether another value of a field changes the variable; unknown when the mapping rejects every other value. */
  private effectOf(field: Path, variable: Path): boolean | 'unknown' {
    const before = valueAt(this.mapped, variable);
    let isTried = false;
    for (const substitute of substitutes) {
      const after = this.trial(field, substitute);
      if (after && !isDeepStrictEqual(valueAt(after.mapped, variable), before)) return true;
      isTried ||= after !== null;
    }
    return isTried ? false : 'unknown';
  }

  /** Returns the variables for another value of a field, or null when the mapping rejects it. */
  private trial(field: Path, substitute: unknown): { mapped: unknown } | null {
    if (this.trials++ >= maxTrials) return null;
    try {
      return { mapped: this.mapping.variables(withValue(this.mapping.input, field, substitute) as Input) };
    } catch {
      return null;
    }
  }
}

/** Returns whether a value is a list or a plain object, and not a file or a date. */
const isObject = (value: unknown): value is object =>
  typeof value === 'object' &&
  value !== null &&
  (Array.isArray(value) || [Object.prototype, null].includes(Object.getPrototypeOf(value)));

/** Returns the names of the path of a variable as a request may spell them: `toolCallId`, `tool_call_id`. */
const spellings = (variable: Path): string[] =>
  variable
    .filter((key) => typeof key === 'string')
    .flatMap((key) => [key, key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)]);

const normalized = (name: unknown): string => String(name).replaceAll('_', '').toLowerCase();

const indexesOf = (path: Path): number => path.filter((key) => typeof key === 'number').length;

/** Returns whether the name or index of a field is part of the path of the variable. */
const isAlike = (field: Path, variable: Path): boolean =>
  variable.some((key) => normalized(key) === normalized(field.at(-1)));

/** Orders fields so that those with a name from the path of the variable come first. */
const alikeFirst = (fields: readonly Path[], variable: Path): Path[] => [
  ...fields.filter((field) => isAlike(field, variable)),
  ...fields.filter((field) => !isAlike(field, variable)),
];

/** Returns the common prefix of several paths. */
const common = ([first = [], ...others]: readonly Path[]): Path =>
  first.slice(
    0,
    first.findIndex((key, index) => others.some((other) => other[index] !== key)),
  );

/** Returns the items of a list to try, starting with those whose index is part of the path of the variable. */
const indexes = (length: number, variable: Path): number[] => {
  const named = variable.filter((key): key is number => typeof key === 'number' && key < length);
  return [...new Set([...named, ...Array.from({ length: Math.min(length, maxItems) }, (_, index) => index)])];
};

/** A name of a field in a message: `scopes`, `input.expiresAt`. */
const mentioned = /`([A-Za-z_]\w*(?:\.\w+)*)`/g;

/** Requirements on an ID as the GraphQL API states them. REST has no global IDs, and names types differently. */
const idRequirements: Partial<Record<FieldReason, string>> = {
  UUID_EXPECTED: 'must be a UUID',
  INTEGER_ID_EXPECTED: 'must be an integer ID',
  ID_EXPECTED: 'must be an ID',
  OTHER_TYPE: 'is not an ID of this API',
};

/**
 * Rewrites a GraphQL error for the caller of a REST endpoint. Its fields become those that the caller sent or could have
 * sent, such as `body.expires_at` for `input.expiresAt`. `field` is the root field that failed; absent when the paths of
 * the error start with a variable.
 */
export function inTermsOfRequest<Input extends Partial<Record<Part, unknown>>>(
  error: AppError,
  mapping: Mapping<Input>,
  field?: string,
): AppError {
  const { fields } = error.details;
  if (error.code !== 'BAD_USER_INPUT' || !fields) return error;
  const origins = new Origins(mapping);
  const requested = (path: Path, isExact = false): Path => {
    const variable = field === undefined ? path : variableOf(mapping.document, field, path);
    const [part, ...rest] = (variable && (isExact ? origins.ofExactly(variable) : origins.of(variable))) ?? [];
    return part === undefined ? [] : [parts[part as Part], ...rest];
  };
  /** Renames a field that a message mentions: a sibling of the invalid field, or a full path. */
  const renamed = (name: string, sibling: Path): string => {
    const path = name.split('.');
    const found = [requested([...sibling.slice(0, -1), ...path], true), requested(path, true)].find(
      ({ length }) => length > 1,
    );
    return found ? found.slice(1).join('.') : name;
  };
  const translated = wrongFields(
    fields.map(({ path, message, ...problem }) => {
      const plain = (problem.reason && idRequirements[problem.reason]) ?? message;
      return {
        ...problem,
        path: [...requested(path)],
        message: plain.replaceAll(mentioned, (_, name: string) => `\`${renamed(name, path)}\``),
      };
    }),
  );
  return withMessage(error, translated.message, translated.details);
}
