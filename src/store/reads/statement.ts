import type { Encoder } from './encode.ts';
import { type Model, models } from './models.ts';
import { Placeholder } from './shape.ts';
import { unsupported } from './unsupported.ts';

/** A parameter of a statement: the value of the arguments that it receives, and its conversion. */
export interface Parameter {
  index: number;
  encode: Encoder;
}

/** A table in a statement: the model whose rows it contains, and its alias. */
export interface Source {
  name: string;
  model: Model;
  alias: string;
  /** The columns that the statement refers to. */
  columns: Set<string>;
}

/** Collects the parameters and aliases of a statement while it is compiled. */
export class StatementBuilder {
  readonly parameters: Parameter[] = [];
  private aliases = 0;

  /** Returns the text that refers to a value of the arguments. */
  parameter(value: unknown, encode: Encoder, { list = false } = {}): string {
    if (!(value instanceof Placeholder) || value.isList !== list) unsupported('a value of another kind');
    return `$${this.parameters.push({ index: value.index, encode })}`;
  }

  /** Adds a table. Throws UnsupportedReadError for an unknown model. */
  source(name: string): Source {
    const model = models.get(name) ?? unsupported(`the model ${name}`);
    return { name, model, alias: this.alias(), columns: new Set() };
  }

  alias(): string {
    return `t${this.aliases++}`;
  }
}

/** Returns a table as SQL. */
export const tableOf = (name: string): string => `"public"."${name}"`;

/** Returns a column of a table as SQL. */
export function columnOf(source: { alias: string; columns?: Set<string> }, name: string): string {
  source.columns?.add(name);
  return `${source.alias}."${name}"`;
}

/**
 * Returns a part of the rows of `inner`, given by the end of a SELECT, as a table with the columns that the statement
 * uses of `outer`. PostgreSQL then creates the JSON of these rows only; otherwise, it can create the JSON of all rows
 * before it sorts them.
 */
export function derivedTable(outer: Source, inner: Source, clauses: string): string {
  const columns = outer.columns.size > 0 ? [...outer.columns] : outer.model.key;
  return `(SELECT ${columns.map((name) => columnOf(inner, name)).join(', ')} ${clauses}) ${outer.alias}`;
}

/** Returns an object of the arguments. Throws UnsupportedReadError for other values. */
export function objectOf(value: unknown, what: string): Record<string, unknown> {
  if (value === null || typeof value !== 'object' || Array.isArray(value) || value instanceof Placeholder)
    unsupported(what);
  return value as Record<string, unknown>;
}

/** Returns the objects of a list of the arguments, or a single object as a list. */
export const objectsOf = (value: unknown, what: string): Record<string, unknown>[] =>
  Array.isArray(value) ? value.map((item) => objectOf(item, what)) : [objectOf(value, what)];

export const isEmpty = (object: Record<string, unknown>): boolean => Object.keys(object).length === 0;
