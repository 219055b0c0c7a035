import { type DocumentNode, getOperationAST, type OperationDefinitionNode } from 'graphql';
import { isAsyncIterable, type Plugin } from 'graphql-yoga';
import type { Context } from '../../context.ts';
import type { Metrics } from '../../metrics.ts';
import { type HistogramSeries, secondsSince } from '../../telemetry/series.ts';
import { rootFieldOf } from '../root-field.ts';

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
