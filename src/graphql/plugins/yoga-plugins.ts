import type { YogaServerOptions } from 'graphql-yoga';
import type { Context } from '../../context.ts';
import type { Metrics } from '../../metrics.ts';
import type { Settings } from '../../settings.ts';
import { useAcceptCheck } from './accept.ts';
import { useCompiledExecution } from './compiled-execution.ts';
import { useCsrfPrevention } from './csrf.ts';
import { useRefusalAudit } from './denial-audit.ts';
import { useErrorWording } from './error-messages.ts';
import { useIntrospectionGate } from './introspection.ts';
import { queryLimits, useBudget, useQueryLimits } from './limits.ts';
import { usePartialStatus } from './partial.ts';
import { usePersistedQueryFallback } from './persisted-queries.ts';
import { useStrictReading } from './request-parser.ts';
import { useRevocationCheck } from './revocation-check.ts';
import { useVariableCheck } from './variable-validation.ts';

/** Returns the plugins of Yoga, in the order in which they see a request. */
export const yogaPlugins = (settings: Settings, metrics: Metrics): YogaServerOptions<Context, object>['plugins'] => [
  useCompiledExecution(),
  useCsrfPrevention(),
  useStrictReading(),
  usePersistedQueryFallback(),
  useAcceptCheck(),
  useQueryLimits(queryLimits, metrics.refused),
  useIntrospectionGate(settings.graphiql),
  useVariableCheck(),
  useErrorWording(settings.graphiql),
  usePartialStatus(),
  useRevocationCheck(),
  useRefusalAudit(),
  useBudget(),
];
