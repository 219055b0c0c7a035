import { z } from 'zod';
import type { FieldReason } from './error-reasons.ts';

type Issue = z.core.$ZodRawIssue;

/** Maximum number of values that a message lists. */
const maxListed = 30;

/** Joins alternatives: "a", "a or b", "a, b or c". */
export function alternatives(items: readonly string[]): string {
  const listed =
    items.length > maxListed ? [...items.slice(0, maxListed), `${items.length - maxListed} others`] : items;
  return listed.length < 2 ? listed.join('') : `${listed.slice(0, -1).join(', ')} or ${listed.at(-1)}`;
}

const written = (value: unknown): string => (typeof value === 'bigint' ? String(value) : JSON.stringify(value));

/** The types of zod as noun phrases. */
const nouns: Record<string, string> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  bigint: 'a whole number',
  boolean: 'true or false',
  date: 'a date',
  array: 'a list',
  tuple: 'a list',
  set: 'a list',
  object: 'an object',
  record: 'an object',
  map: 'an object',
  null: 'null',
  undefined: 'absent',
  never: 'absent',
  file: 'a file',
};

/** The units that a limit of each kind counts. Numbers and dates have none. */
const units: Record<string, [one: string, many: string]> = {
  string: ['character', 'characters'],
  array: ['item', 'items'],
  set: ['item', 'items'],
  map: ['entry', 'entries'],
  file: ['byte', 'bytes'],
};

const formats: Record<string, string> = {
  email: 'an e-mail address',
  url: 'a URL',
  uuid: 'a UUID',
  guid: 'a UUID',
  datetime: 'a date and time in ISO 8601, such as 2026-01-31T12:00:00Z',
  date: 'a date in ISO 8601, such as 2026-01-31',
  time: 'a time in ISO 8601, such as 12:00:00',
  base64: 'Base64',
  ipv4: 'an IPv4 address',
  ipv6: 'an IPv6 address',
};

function limit(
  issue: { origin: string },
  value: number | bigint | Date,
  relation: 'at most' | 'at least',
  isExact: boolean,
) {
  const unit = units[issue.origin];
  const bound = value instanceof Date ? value.toISOString() : String(value);
  if (!unit) return `must be ${isExact ? 'exactly' : relation} ${bound}`;
  return `must have ${isExact ? 'exactly' : relation} ${bound} ${unit[bound === '1' ? 0 : 1]}`;
}

/** Returns the value that a branch of a union expects, or null when only a part of the value is invalid. */
function expectationOf(issues: readonly z.core.$ZodIssue[]): string | null {
  const [issue] = issues;
  if (issue === undefined || issue.path.length > 0) return null;
  if (issue.code === 'invalid_type') return nouns[issue.expected] ?? null;
  if (issue.code === 'invalid_value') return alternatives(issue.values.map(written));
  if (issue.code === 'invalid_format') return formats[issue.format] ?? null;
  return null;
}

/** Returns the message of an issue without a message of its own. It follows the name of the field. */
function plainMessage(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      if (issue.input === undefined) return 'is required';
      return issue.expected === 'never'
        ? 'must be absent'
        : `must be ${nouns[issue.expected] ?? `a ${issue.expected}`}`;
    case 'invalid_value': {
      const values = alternatives(issue.values.map(written));
      return issue.values.length === 1 ? `must be ${values}` : `must be one of ${values}`;
    }
    case 'too_big':
      if (!issue.inclusive && !units[issue.origin]) return `must be less than ${issue.maximum}`;
      return limit(issue, issue.maximum, 'at most', issue.exact ?? false);
    case 'too_small':
      if (issue.minimum === 1 && units[issue.origin] && !issue.exact) return 'must not be empty';
      if (!issue.inclusive && !units[issue.origin]) return `must be more than ${issue.minimum}`;
      return limit(issue, issue.minimum, 'at least', issue.exact ?? false);
    case 'invalid_format':
      if (issue.format === 'starts_with') return `must start with ${written(issue.prefix)}`;
      if (issue.format === 'ends_with') return `must end with ${written(issue.suffix)}`;
      if (issue.format === 'includes') return `must contain ${written(issue.includes)}`;
      return formats[issue.format] ? `must be ${formats[issue.format]}` : 'has the wrong format';
    case 'not_multiple_of':
      return `must be a multiple of ${issue.divisor}`;
    case 'unrecognized_keys':
      return `must not have the ${issue.keys.length === 1 ? 'field' : 'fields'} ${issue.keys.slice(0, 10).map(written).join(', ')}`;
    case 'invalid_union': {
      const expected = (issue.errors ?? []).map(expectationOf).filter((each) => each !== null);
      if (issue.input === undefined) return 'is required';
      return expected.length > 0 ? `must be ${alternatives([...new Set(expected)])}` : 'has the wrong form';
    }
    case 'invalid_key':
      return 'has a key that is not allowed';
    case 'invalid_element':
      return 'has an element that is not allowed';
    default:
      return 'is not valid';
  }
}

z.config({ localeError: plainMessage });

export interface Problem {
  path: PropertyKey[];
  message: string;
  reason?: FieldReason;
}

/**
 * Returns the problems of an issue. When the value of a union has the type of one branch, the problems are those of that
 * branch: "content.0.text is required" instead of "content has the wrong form".
 */
export function problemsOf(issue: z.core.$ZodIssue): Problem[] {
  const reason: FieldReason | undefined = issue.code === 'custom' ? issue.params?.reason : undefined;
  const whole = [{ path: issue.path, message: issue.message, ...(reason && { reason }) }];
  if (issue.code !== 'invalid_union' || issue.message !== plainMessage(issue as Issue)) return whole;
  const inside = issue.errors.filter((branch) => branch.length > 0 && expectationOf(branch) === null);
  const [closest] = inside.sort((a, b) => a.length - b.length);
  if (!closest) return whole;
  return closest.flatMap(problemsOf).map(({ path, ...problem }) => ({ ...problem, path: [...issue.path, ...path] }));
}
