import { type Column, type Model, models, type Relation } from '../src/store/reads/models.ts';
import { type Row, type Rows, randomValue } from './random-rows.ts';
import type { Chance } from './seeded.ts';

/** Creates random arguments of reads that the compiler supports. Every list has a total order. */
export class RandomReads {
  constructor(
    private readonly chance: Chance,
    private readonly rows: Rows,
  ) {}

  /** Returns the arguments of `findMany`. */
  many(name: string): Row {
    const { chance } = this;
    return {
      ...(chance.below(4) > 0 && { where: this.where(name, 2) }),
      ...this.selection(name, 2),
      ...this.range(name),
    };
  }

  /** Returns the arguments of `findUnique` for a row that exists, or in a few cases for none. */
  unique(name: string): Row {
    const { chance } = this;
    const { uniqueKeys, columns } = modelOf(name);
    const [key, names] = chance.pick(Object.entries(uniqueKeys));
    const row = chance.pick(this.rows.get(name) ?? []) ?? {};
    const value = (column: string) => row[column] ?? randomValue(chance, columns[column] as Column, true);
    const values = Object.fromEntries(names.map((column) => [column, value(column)]));
    const where = names.length === 1 && names[0] === key ? values : { [key]: values };
    return {
      where: chance.below(3) > 0 ? where : { ...where, AND: [this.where(name, 1)] },
      ...this.selection(name, 1),
    };
  }

  where(name: string, depth: number): Row {
    const { chance } = this;
    const where: Row = {};
    for (let count = 1 + chance.below(2); count > 0; count--) {
      const kind = chance.below(depth > 0 ? 6 : 3);
      const relations = Object.entries(modelOf(name).relations);
      const lists = Array.from({ length: 1 + chance.below(2) }, () => 0);
      if (kind < 3) Object.assign(where, this.columnFilter(name));
      else if (kind === 3) where.AND = lists.map(() => this.where(name, depth - 1));
      else if (kind === 4) where[chance.pick(['OR', 'NOT'])] = lists.map(() => this.where(name, depth - 1));
      else if (relations.length > 0) Object.assign(where, this.relationFilter(chance.pick(relations), depth - 1));
      else where.NOT = this.where(name, depth - 1);
    }
    return Object.keys(where).length > 0 ? where : this.where(name, depth);
  }

  private columnFilter(name: string): Row {
    const { chance } = this;
    const filterable = Object.entries(modelOf(name).columns).filter(([, { type }]) => type !== 'Json');
    const [field, column] = chance.pick(filterable);
    const known = () => chance.pick(this.rows.get(name) ?? [])?.[field];
    const value = () => (chance.below(3) > 0 ? known() : null) ?? randomValue(chance, column);
    if (column.list) return { [field]: this.listFilter(column, value) };
    if (column.nullable && chance.below(4) === 0)
      return { [field]: chance.pick([null, { not: null }, { equals: null }]) };
    const isText = column.type === 'String';
    const isOrdered = ['Int', 'BigInt', 'Float', 'DateTime', 'String'].includes(column.type as string);
    const filters: (() => unknown)[] = [value, () => ({ equals: value() }), () => ({ not: value() })];
    if (column.type !== 'Bytes' && column.type !== 'Boolean')
      filters.push(
        () => ({ in: Array.from({ length: chance.below(3) }, value) }),
        () => ({ notIn: Array.from({ length: chance.below(3) }, value) }),
      );
    if (isOrdered)
      filters.push(() => ({ [chance.pick(['lt', 'lte'])]: value(), [chance.pick(['gt', 'gte'])]: value() }));
    if (isOrdered) filters.push(() => ({ not: { [chance.pick(['lt', 'gte'])]: value() } }));
    const operator = () => chance.pick(['contains', 'startsWith', 'endsWith', 'equals']);
    if (isText) filters.push(() => ({ [operator()]: value(), ...(chance.below(2) > 0 && { mode: 'insensitive' }) }));
    return { [field]: chance.pick(filters)() };
  }

  private listFilter(column: Column, value: () => unknown): unknown {
    const { chance } = this;
    return chance.pick<() => unknown>([
      () => ({ has: randomValue(chance, { ...column, list: false }) }),
      () => ({ hasSome: value() }),
      () => ({ hasEvery: value() }),
      () => ({ isEmpty: chance.below(2) > 0 }),
      () => ({ equals: value() }),
    ])();
  }

  private relationFilter([field, relation]: [string, Relation], depth: number): Row {
    const { chance } = this;
    const where = this.where(relation.model, depth);
    if (relation.list)
      return {
        [field]: { [chance.pick(['some', 'none', 'every'])]: where, ...(chance.below(3) === 0 && { some: {} }) },
      };
    if (relation.nullable && chance.below(4) === 0)
      return { [field]: chance.pick([null, { is: null }, { isNot: null }]) };
    return { [field]: chance.pick([where, { is: where }, { isNot: where }]) };
  }

  /** Returns `select`, `include` or neither. */
  private selection(name: string, depth: number): Row {
    const { chance } = this;
    const { columns, relations } = modelOf(name);
    const related: Row = {};
    const lists = Object.entries(relations).filter(([, { list }]) => list);
    for (const [field, relation] of Object.entries(relations))
      if (depth > 0 && chance.below(3) === 0) related[field] = this.nested(relation, depth - 1);
    if (depth > 0 && lists.length > 0 && chance.below(2) === 0)
      related._count = {
        select: Object.fromEntries(
          lists
            .slice(0, 3)
            .map(([field, { model }]) => [field, chance.below(2) > 0 || { where: this.where(model, 1) }]),
        ),
      };
    const isEmpty = Object.keys(related).length === 0;
    if (chance.below(2) > 0) return isEmpty ? {} : { include: related };
    const chosen = Object.keys(columns).filter(() => chance.below(2) > 0);
    const select = { ...Object.fromEntries(chosen.map((field) => [field, true])), ...related };
    return Object.keys(select).length > 0 ? { select } : {};
  }

  private nested(relation: Relation, depth: number): unknown {
    const { chance } = this;
    const selection = this.selection(relation.model, depth);
    if (!relation.list) return Object.keys(selection).length > 0 ? selection : true;
    const where = chance.below(2) > 0 && { where: this.where(relation.model, 1) };
    return { ...where, ...selection, ...this.range(relation.model) };
  }

  /** Returns a total order, and in most cases a part of the rows. */
  private range(name: string): Row {
    const { chance } = this;
    const { columns, key } = modelOf(name);
    const sortable = Object.entries(columns).filter(([, { type, list }]) => type !== 'Json' && !list);
    const [field, { nullable }] = chance.pick(sortable);
    const direction = chance.pick(['asc', 'desc']);
    const order =
      nullable && chance.below(2) > 0 ? { sort: direction, nulls: chance.pick(['first', 'last']) } : direction;
    return {
      orderBy: [{ [field]: order }, ...key.map((column) => ({ [column]: direction }))],
      ...(chance.below(2) > 0 && { take: chance.pick([1, 3, 100, -1, -3]) }),
      ...(chance.below(4) === 0 && { skip: chance.below(3) }),
    };
  }
}

const modelOf = (name: string): Model => models.get(name) as Model;
