import { unsupported } from './unsupported.ts';

/**
 * The shape of a read's arguments. Two reads with the same key differ only in `values` and are served by the same
 * statement.
 */
export interface Shape {
  key: string;
  values: unknown[];
}

/** The place of a value in a template: its index in {@link Shape.values}. */
export class Placeholder {
  constructor(
    readonly index: number,
    /** Whether the value is an array. */
    readonly isList: boolean,
    /** Whether the value is negative. Set for `take` only. */
    readonly isNegative: boolean,
  ) {}
}

/** Arguments whose texts belong to the statement instead of being values of it. */
const isConstant = (name: string) => name === 'orderBy' || name === 'mode';

const isScalar = (value: unknown) => typeof value !== 'object' || value instanceof Date || value instanceof Uint8Array;

function isPlain(value: object): value is Record<string, unknown> {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/**
 * Returns the shape of the arguments of a read. The key contains property names, booleans, nulls, orders and the sign of
 * `take`; everything else is a value. Undefined properties count as absent. Throws UnsupportedReadError for objects that
 * are not plain.
 */
export function shapeOf(args: object): Shape {
  const shape: Shape = { key: '', values: [] };
  describeObject(args as Record<string, unknown>, shape);
  return shape;
}

function describeObject(object: Record<string, unknown>, shape: Shape): void {
  if (!isPlain(object)) unsupported('an object that is not plain');
  shape.key += '{';
  for (const name in object) {
    const value = object[name];
    if (value === undefined) continue;
    shape.key += name;
    if (isConstant(name)) shape.key += `=${JSON.stringify(value)}`;
    else describe(name, value, shape);
  }
  shape.key += '}';
}

function describe(name: string, value: unknown, shape: Shape): void {
  if (value === true) shape.key += '+';
  else if (value === false) shape.key += '-';
  else if (value === null) shape.key += '!';
  else if (isScalar(value)) {
    shape.key += name === 'take' && (value as number) < 0 ? '<' : '?';
    shape.values.push(value);
  } else if (!Array.isArray(value)) describeObject(value as Record<string, unknown>, shape);
  else if (value.length === 0) shape.key += '[]';
  else if (isScalarList(value)) {
    shape.key += '*';
    shape.values.push(value);
  } else {
    shape.key += '[';
    for (const item of value) describeObject(item as Record<string, unknown>, shape);
    shape.key += ']';
  }
}

/** Returns whether a list contains values. Throws UnsupportedReadError when it contains both values and objects. */
function isScalarList(list: readonly unknown[]): boolean {
  const scalars = isScalar(list[0]);
  for (const item of list) if (item === null || isScalar(item) !== scalars) unsupported('a list of mixed values');
  return scalars;
}

/**
 * Returns the arguments with a {@link Placeholder} in place of each value, in the order of `shapeOf`.
 */
export function templateOf(args: object): Record<string, unknown> {
  let count = 0;
  const copyObject = (object: Record<string, unknown>): Record<string, unknown> => {
    const copy: Record<string, unknown> = {};
    for (const name in object) {
      const value = object[name];
      if (value === undefined) continue;
      copy[name] = isConstant(name) ? structuredClone(value) : copyValue(name, value);
    }
    return copy;
  };
  const copyValue = (name: string, value: unknown): unknown => {
    if (typeof value === 'boolean' || value === null) return value;
    if (isScalar(value)) return new Placeholder(count++, false, name === 'take' && (value as number) < 0);
    if (!Array.isArray(value)) return copyObject(value as Record<string, unknown>);
    if (value.length === 0) return [];
    if (isScalar(value[0])) return new Placeholder(count++, true, false);
    return value.map(copyObject);
  };
  return copyObject(args as Record<string, unknown>);
}
