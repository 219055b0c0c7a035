import {
  type DirectiveNode,
  type DocumentNode,
  type FieldNode,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql';
import { fragmentsOf } from './field-collector.ts';

/** Measurements of an operation and the fragments that it uses. They require neither the schema nor the variables. */
export interface Measures {
  /** Maximum nesting depth of fields. */
  depth: number;
  aliases: number;
  directives: number;
  /** Number of selections of each field, by field name. */
  fields: ReadonlyMap<string, number>;
  /** The field that is selected most often within one selection set, under any alias. */
  repeated: { field: string; times: number };
}

interface Subtotal extends Omit<Measures, 'fields'> {
  fields: Map<string, number>;
}

const empty = (): Subtotal => ({
  depth: 0,
  aliases: 0,
  directives: 0,
  fields: new Map(),
  repeated: { field: '', times: 0 },
});

function add(sum: Subtotal, part: Subtotal, levels = 0): void {
  sum.depth = Math.max(sum.depth, part.depth + levels);
  sum.aliases += part.aliases;
  sum.directives += part.directives;
  for (const [field, times] of part.fields) sum.fields.set(field, (sum.fields.get(field) ?? 0) + times);
  if (part.repeated.times > sum.repeated.times) sum.repeated = part.repeated;
}

const measured = new WeakMap<OperationDefinitionNode, Measures>();

/**
 * Measures an operation before validation. A fragment counts at each place where it is spread. A fragment that spreads
 * itself counts once, because validation rejects it. Introspection of the schema has no depth.
 */
export function measure(document: DocumentNode, operation: OperationDefinitionNode): Measures {
  const before = measured.get(operation);
  if (before) return before;
  const fragments = fragmentsOf(document);
  const known = new Map<string, Subtotal>();

  function ofFragment(name: string): Subtotal {
    const found = known.get(name);
    if (found) return found;
    const fragment = fragments.get(name);
    if (!fragment) return empty();
    known.set(name, empty());
    const sum = ofSelections(fragment.selectionSet);
    sum.directives += count(fragment.directives);
    known.set(name, sum);
    return sum;
  }

  function ofField({ name, alias, directives, selectionSet }: FieldNode): Subtotal {
    const sum = selectionSet ? ofSelections(selectionSet) : empty();
    sum.depth = name.value === '__schema' ? 0 : sum.depth + 1;
    if (alias) sum.aliases++;
    sum.directives += count(directives);
    sum.fields.set(name.value, (sum.fields.get(name.value) ?? 0) + 1);
    return sum;
  }

  function ofSelections({ selections }: SelectionSetNode): Subtotal {
    const sum = empty();
    const times = new Map<string, number>();
    for (const node of selections) {
      if (node.kind === Kind.FIELD) {
        add(sum, ofField(node));
        times.set(node.name.value, (times.get(node.name.value) ?? 0) + 1);
      } else {
        add(sum, node.kind === Kind.INLINE_FRAGMENT ? ofSelections(node.selectionSet) : ofFragment(node.name.value));
        sum.directives += count(node.directives);
      }
    }
    for (const [field, here] of times) if (here > sum.repeated.times) sum.repeated = { field, times: here };
    return sum;
  }

  const sum = ofSelections(operation.selectionSet);
  sum.directives += count(operation.directives);
  measured.set(operation, sum);
  return sum;
}

const count = (directives: readonly DirectiveNode[] | undefined): number => directives?.length ?? 0;
