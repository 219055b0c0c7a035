import SchemaBuilder, { BasePlugin, type PothosOutputFieldConfig, type SchemaTypes } from '@pothos/core';
import type { GraphQLFieldResolver } from 'graphql';
import type { Context } from '../../context.ts';
import { directReadOf, setDirectRead } from './direct-read.ts';
import { freeFields } from './list-size.ts';

const name = 'budget' as const;

declare global {
  export namespace PothosSchemaTypes {
    interface Plugins<Types extends SchemaTypes> {
      budget: BudgetPlugin<Types>;
    }
    interface FieldOptions<
      Types extends SchemaTypes,
      ParentShape,
      Type extends import('@pothos/core').TypeParam<Types>,
      Nullable extends import('@pothos/core').FieldNullability<Type>,
      Args extends import('@pothos/core').InputFieldMap,
      ResolveShape,
      ResolveReturnShape,
    > {
      /** Set for a root field that waits for a model, a web page or files and has separate time limits. */
      ownTimeLimit?: true;
    }
  }
}

type Resolver<Types extends SchemaTypes> = GraphQLFieldResolver<unknown, Types['Context'], object>;

/** Scalars whose values have no maximum length. */
const texts = new Set(['String', 'JSONObject']);

/**
 * Counts the objects and characters that an operation resolves, and stops the operation when it exceeds a limit. Each
 * field that returns an object, a list or a text checks the budget of its operation before it resolves, and adds its
 * result to the count.
 */
class BudgetPlugin<Types extends SchemaTypes> extends BasePlugin<Types> {
  override onOutputFieldConfig(config: PothosOutputFieldConfig<Types>): PothosOutputFieldConfig<Types> {
    const { ownTimeLimit } = config.pothosOptions as { ownTimeLimit?: true };
    return ownTimeLimit ? { ...config, extensions: { ...config.extensions, ownTimeLimit } } : config;
  }

  override wrapResolve(resolve: Resolver<Types>, config: PothosOutputFieldConfig<Types>): Resolver<Types> {
    const type = config.type.kind === 'List' ? config.type.type : config.type;
    const isObject = type.kind === 'Object' || type.kind === 'Interface' || type.kind === 'Union';
    const isText = type.kind === 'Scalar' && texts.has(this.builder.configStore.getTypeConfig(type.ref).name);
    if ((!isObject && !isText) || freeFields.has(config.name)) return resolve;
    const isEvent = config.parentType === 'Subscription';
    const what = isObject ? 'nodes' : 'text';
    const amount = isObject ? objectsIn : charactersIn;
    const directRead = directReadOf(config);
    if (directRead && isText) {
      const onRead = (value: unknown, context: unknown) =>
        (context as Context).budget.spend('text', charactersIn(value));
      setDirectRead(config, { ...directRead, onRead });
    }
    return (parent, args, context, info) => {
      const { budget } = context as unknown as Context;
      if (isEvent) budget.renew();
      budget.check();
      const counted = <Value>(value: Value): Value => {
        budget.spend(what, amount(value));
        return value;
      };
      const value = resolve(parent, args, context, info);
      return value instanceof Promise ? value.then(counted) : counted(value);
    };
  }
}

function objectsIn(value: unknown): number {
  if (value == null) return 0;
  return Array.isArray(value) ? value.length : 1;
}

function charactersIn(value: unknown): number {
  if (typeof value === 'string') return value.length;
  if (Array.isArray(value)) return value.reduce<number>((sum, each) => sum + charactersIn(each), 0);
  return value !== null && typeof value === 'object' ? charactersIn(Object.entries(value).flat()) : 0;
}

export default name;

SchemaBuilder.registerPlugin(name, BudgetPlugin);
