import type { ChatModel, ChatModels } from '../../ai/providers.ts';
import type { Principal } from '../../authz/principal.ts';
import { rateLimited, unavailable } from '../../errors.ts';
import type { Foundation } from '../../services/foundation.ts';
import type { Lease } from '../../store/shared/leases.ts';
import type { Revocations } from '../../store/shared/revocations.ts';
import type { SharedState } from '../../store/shared/shared-state.ts';
import type { FilesService } from '../files/files.service.ts';
import type { KnowledgeService } from '../knowledge/knowledge.service.ts';
import type { LimitsService } from '../limits/limits.service.ts';
import type { ModelUse, UsageService } from '../limits/usage.service.ts';
import {
  type AnswerEnd,
  type AnswerSoFar,
  emptyAnswer,
  failureOf,
  failureWithin,
  spent,
  useOf,
} from './answer-outcome.ts';
import type { ActiveRun, Runs } from './runs.ts';

/** What the turns of chats and the completions of the gateway need to generate an answer. */
export interface GenerationDeps extends Pick<Foundation, 'db' | 'settings' | 'log' | 'metrics'> {
  knowledge: KnowledgeService;
  files: FilesService;
  runs: Runs;
  limits: LimitsService;
  usage: UsageService;
  shared: Pick<SharedState, 'revocations' | 'leases'>;
  models: ChatModels;
}

/** The end of a generation, before it is stored. */
export interface Outcome {
  soFar: AnswerSoFar;
  end: AnswerEnd;
  /** The usage to record; null when there is none. */
  use: ModelUse | null;
  durationMs: number;
}

/** An answer to generate: the turn of a chat, or a completion of the gateway. */
interface Generation {
  principal: Principal;
  run: ActiveRun;
  /** The lease of {@link admitAnswer}. */
  lease: Lease;
  model: ChatModel;
  /** Stops the run when it aborts. Null for a run that continues without its client. */
  signal: AbortSignal | null;
  /** Gathers the answer in `soFar`, while the run emits it. An error becomes a failure of the answer. */
  collect(soFar: AnswerSoFar): Promise<AnswerEnd>;
  /** Records the usage and stores what is kept of the answer. Returns the end that the readers receive. Never throws. */
  store(outcome: Outcome): Promise<AnswerEnd>;
}

/** Maximum number of concurrent answers of one user. */
const maxAnswersPerUser = 20;

/**
 * Admits another answer of a user. It counts until its lease is released: at its end, or when it cannot start. Throws
 * UNAVAILABLE during a shutdown, and RATE_LIMITED when the user has too many answers.
 */
export async function admitAnswer(
  { runs, shared }: Pick<GenerationDeps, 'runs' | 'shared'>,
  userId: string,
): Promise<Lease> {
  if (runs.draining) throw unavailable('SERVER_SHUTDOWN', 'The server is shutting down.');
  const lease = await shared.leases.tryTake(`answers ${userId}`, maxAnswersPerUser);
  if (!lease) throw rateLimited('TOO_MANY_ANSWERS', `Too many concurrent answers (limit: ${maxAnswersPerUser}).`, 5);
  return lease;
}

/**
 * Stops a run when the credential of its principal ends or `signal` aborts, until `done` is called. `revoked` returns
 * whether the credential has ended by then.
 */
function watch(revocations: Revocations, { principal, run, signal }: Generation) {
  const credential = revocations.watch(principal);
  const gone = signal ? AbortSignal.any([signal, credential.signal]) : credential.signal;
  const stop = () => run.stop();
  gone.addEventListener('abort', stop, { once: true });
  if (gone.aborted) stop();
  return {
    revoked: () => credential.signal.aborted,
    done() {
      gone.removeEventListener('abort', stop);
      credential.done();
    },
  };
}

/**
 * Starts a generation, which continues independently of the caller: the run is registered, watched, collected, recorded
 * and ended with one last event. Returns a function that tells whether the credential of the principal ended during it.
 */
export async function startGeneration(
  { runs, shared, log, metrics }: Pick<GenerationDeps, 'runs' | 'shared' | 'log' | 'metrics'>,
  generation: Generation,
): Promise<{ revoked: () => boolean }> {
  const { run, lease, model } = generation;
  const watched = watch(shared.revocations, generation);
  await runs.start(run, async () => {
    const startedAt = performance.now();
    const soFar = emptyAnswer();
    const collected = await generation.collect(soFar).catch((error: unknown) => {
      log.error({ error, runId: run.id }, 'an answer failed');
      return failureWithin(error);
    });
    watched.done();
    const durationMs = Math.round(performance.now() - startedAt);
    const end = await generation.store({ soFar, end: collected, use: useOf(model, soFar, collected), durationMs });
    await lease.release();
    metrics.answered(end.status, durationMs / 1000, run.firstTextAfter);
    const failure = failureOf(end);
    if (failure) run.emit({ type: 'failed', ...failure });
    else {
      const reason = end.status === 'STOPPED' ? 'USER_CANCELLED' : 'FINISHED';
      run.emit({ type: 'stopped', reason, ...(!soFar.isRefusal && { usage: spent(model, soFar, durationMs) }) });
    }
  });
  return { revoked: watched.revoked };
}
