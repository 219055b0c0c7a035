import { type DocumentNode, getOperationAST, Kind, type OperationDefinitionNode, type SelectionSetNode } from 'graphql';
import { isAsyncIterable, type Plugin } from 'graphql-yoga';
import type { Context } from '../../context.ts';
import type { Metrics } from '../../metrics.ts';
import { type HistogramSeries, secondsSince } from '../../telemetry/series.ts';

/** Adds the names of the fields that a selection has at the root of a document. */
function addRootFields(document: DocumentNode, selections: SelectionSetNode, names: Set<string>): void {
  for (const selection of selections.selections) {
    if (selection.kind === Kind.FIELD) names.add(selection.name.value);
    else if (selection.kind === Kind.INLINE_FRAGMENT) addRootFields(document, selection.selectionSet, names);
    else
      for (const each of document.definitions)
        if (each.kind === Kind.FRAGMENT_DEFINITION && each.name.value === selection.name.value)
          addRootFields(document, each.selectionSet, names);
  }
}

const rootFields = new WeakMap<OperationDefinitionNode, string>();

/**
 * Returns the root field of an operation by its name in the schema, never an alias, or `multiple` for several. The
 * document must be valid.
 */
function rootFieldOf(document: DocumentNode, operation: OperationDefinitionNode): string {
  let field = rootFields.get(operation);
  if (field === undefined) {
    const names = new Set<string>();
    addRootFields(document, operation.selectionSet, names);
    const [first = 'none', ...rest] = names;
    field = rest.length === 0 ? first : 'multiple';
    rootFields.set(operation, field);
  }
  return field;
}

/**
 * Records the duration of each operation at `/graphql`, and the reasons of the errors in its result. The duration of a
 * subscription is the time until its stream begins.
 */
export function useOperationMetrics(metrics: Metrics): Plugin<Context> {
  const known = new WeakMap<OperationDefinitionNode, HistogramSeries>();
  const seriesOf = (document: DocumentNode, operationName: string | null | undefined): HistogramSeries | null => {
    const operation = getOperationAST(document, operationName);
    if (!operation) return null;
    let series = known.get(operation);
    if (!series) {
      series = metrics.operation(operation.operation, rootFieldOf(document, operation));
      known.set(operation, series);
    }
    return series;
  };
  const start = ({ args }: { args: { document: unknown; operationName?: string | null | undefined } }) => {
    const startedAt = performance.now();
    return () => seriesOf(args.document as DocumentNode, args.operationName)?.observe(secondsSince(startedAt));
  };
  return {
    onExecute: (hook) => ({ onExecuteDone: start(hook) }),
    onSubscribe: (hook) => ({ onSubscribeResult: start(hook) }),
    onExecutionResult({ result }) {
      if (!result || isAsyncIterable(result) || !('errors' in result)) return;
      for (const { extensions } of result.errors ?? []) metrics.failed(String(extensions.reason ?? extensions.code));
    },
  };
}
