import { readModels } from '../../generated/read-models.ts';

/** The type of a column. An enum is given by its values. */
export type ColumnType =
  | 'Int'
  | 'BigInt'
  | 'Float'
  | 'Boolean'
  | 'String'
  | 'Uuid'
  | 'DateTime'
  | 'Json'
  | 'Bytes'
  | readonly string[];

export interface Column {
  type: ColumnType;
  list: boolean;
  nullable: boolean;
}

/** A relation to another model: the columns `from` of this model are equal to the columns `to` of the other. */
export interface Relation {
  model: string;
  list: boolean;
  nullable: boolean;
  from: readonly string[];
  to: readonly string[];
  /** The table of an implicit many-to-many relation, whose columns `own` and `foreign` refer to the two models. */
  table?: string;
  own?: string;
  foreign?: string;
}

export interface Model {
  /** The columns of the primary key. */
  key: readonly string[];
  /** The columns of each unique key, by the name that `findUnique` uses. */
  uniqueKeys: Readonly<Record<string, readonly string[]>>;
  columns: Readonly<Record<string, Column>>;
  relations: Readonly<Record<string, Relation>>;
  /** Whether `columns` contains all columns that Prisma returns by default. */
  complete: boolean;
}

/** The models of `prisma/schema.prisma` by name. A model that is absent is read by Prisma. */
export const models = new Map(Object.entries(readModels as Record<string, Model>));
