import { streamText } from 'ai';
import { adviceForOperator } from '../../ai/builtin-model.ts';
import { failureMessage } from '../../ai/provider-failure.ts';
import type { ChatModel } from '../../ai/providers.ts';
import { estimateTokens } from '../../ai/tokens.ts';
import { redactSecrets } from '../../authz/secret.ts';
import { isDatabaseUnavailable } from '../../errors.ts';
import type { Agent, Prisma, ReasoningEffort } from '../../generated/prisma/client.ts';
import type { Log } from '../../log.ts';
import { cutText } from '../../unicode.ts';
import type { ModelUse } from '../limits/usage.service.ts';
import { CitationStream, type CitedPart } from './citations.ts';
import type { NumberedHit, TurnUsage } from './events.ts';
import { type Image, packPrompt, type Utterance } from './prompt.ts';
import type { ActiveRun } from './runs.ts';
import { interruptedMessage, modelFailure, type TurnFailure, turnFailure } from './turn-failure.ts';

/** Maximum retries of a call that failed before it returned any text. */
const maxRetries = 2;
/**
 * Maximum tokens of an answer. The second limit, in characters including reasoning, applies to providers that do not
 * count.
 */
const maxOutputTokens = 8192;
const maxLength = 200_000;

/** The names that OpenAI-compatible servers use. */
const efforts: Record<ReasoningEffort, string> = { OFF: 'none', LOW: 'low', MEDIUM: 'medium', HIGH: 'high' };

interface AnswerLimits {
  /** Maximum silence of the model and maximum duration of a turn, in milliseconds. */
  modelSilenceMs: number;
  turnMs: number;
}

export interface AnswerRequest {
  agent: Agent;
  projectInstructions: string | null;
  model: ChatModel;
  temperature: number | null;
  reasoningEffort: ReasoningEffort | null;
  history: readonly Utterance[];
  question: string;
  files: readonly NumberedHit[];
  earlierFiles: readonly NumberedHit[];
  notes: readonly string[];
  images: readonly Image[];
  earlierImages: readonly Image[];
  hits: readonly NumberedHit[] | null;
  /** The passages that the answer can cite. */
  passages: readonly NumberedHit[];
  /** The passages that the caller receives in full. */
  told: readonly NumberedHit[];
  additionalContext: string | null;
  includeCitations: boolean;
  /** True when the caller may configure the server; the built-in model may then mention settings in its answer. */
  advisesOperator: boolean;
  limits: AnswerLimits;
}

/** The answer so far, which grows while the model writes. */
export interface AnswerSoFar {
  text: string;
  reasoning: string;
  citations: { number: number; documentId: string }[];
  inputTokens: number;
  outputTokens: number;
  /** The number of these tokens that the provider did not report. */
  estimatedTokens: number;
}

export type AnswerEnd =
  | { status: 'COMPLETE' }
  | { status: 'STOPPED' }
  /** INTERRUPTED: a shutdown of the server stopped the answer. */
  | { status: 'FAILED' | 'INTERRUPTED'; failure: TurnFailure };

const failed = (failure: TurnFailure): AnswerEnd => ({ status: 'FAILED', failure });

/** Returns the outcome of an answer that failed because of an error in the server. */
export const failureWithin = (error: unknown): AnswerEnd =>
  isDatabaseUnavailable(error)
    ? failed(turnFailure('UNAVAILABLE', 'The server’s database was not available.', { retryAfter: 5 }))
    : failed(turnFailure('INTERNAL', 'The answer failed because of an internal error.'));

/** The outcome of an answer that was interrupted by a shutdown of the server. */
const interrupted: AnswerEnd = {
  status: 'INTERRUPTED',
  failure: turnFailure('SERVER_SHUTDOWN', interruptedMessage),
};

/** Returns the failure of an answer that failed or was interrupted, otherwise null. */
export const failureOf = (end: AnswerEnd): TurnFailure | null => ('failure' in end ? end.failure : null);

/** The default refusal of an agent in the mode QUERY that found no passage. */
export const defaultRefusal = 'There is no relevant information in this workspace to answer your query.';

/** Returns the usage of an answer. */
export const spent = (
  { modelId, provider }: ChatModel,
  { inputTokens, outputTokens }: AnswerSoFar,
  durationMs: number,
): TurnUsage => ({ inputTokens, outputTokens, durationMs, model: modelId, provider, endedAt: new Date() });

/** Answers that are complete: excludes running ones and turns that failed before any text. */
export const answers = {
  role: 'ASSISTANT',
  status: { not: 'STREAMING' },
  NOT: { status: { in: ['FAILED', 'INTERRUPTED'] }, text: '' },
} satisfies Prisma.ChatMessageWhereInput;

/** Returns the usage of an answer, or null when the provider failed before it returned or reported anything. */
export function useOf(model: ChatModel, soFar: AnswerSoFar, end: AnswerEnd): ModelUse | null {
  const { inputTokens, outputTokens, estimatedTokens } = soFar;
  const heard = soFar.text !== '' || soFar.reasoning !== '' || estimatedTokens < inputTokens + outputTokens;
  if ('failure' in end && !heard) return null;
  return { model: model.modelId, inputTokens, outputTokens, estimatedTokens };
}

/** Returns the outcome of an answer whose run was stopped by its reader or by a shutdown. */
export const stopped = (run: ActiveRun): AnswerEnd => (run.isInterrupted ? interrupted : { status: 'STOPPED' });

class Silence extends Error {}
class TooLong extends Error {}
class TooMuch extends Error {}
class UnknownAction extends Error {}

/** Returns a provider's token count, limited to values that the database can store. */
const reported = (tokens: number | undefined): number =>
  tokens !== undefined && tokens > 0 ? Math.min(Math.round(tokens), 0x7fff_ffff) : 0;

/** Returns a tool name that the model sent, safe for display. */
const nameOf = (name: string): string => JSON.stringify(cutText(storable(name).toWellFormed(), 100));

/** Returns text from the model that the database can store. */
const storable = (text: string): string => text.replaceAll('\0', '');

/** Returns the outcome of an answer that failed with an error, with a message for the caller. */
function failure(error: unknown): AnswerEnd {
  if (error instanceof Silence) return failed(turnFailure('TIMEOUT', 'The model stopped answering.'));
  if (error instanceof TooLong) return failed(turnFailure('TIMEOUT', 'The answer took too long.'));
  if (error instanceof UnknownAction) return failed(turnFailure('TOOL_CALL_FAILED', error.message));
  if (error instanceof TooMuch)
    return failed(turnFailure('UPSTREAM_FAILED', 'The answer exceeded the maximum length.'));
  return failed(modelFailure(error));
}

/** Yields a stream until it ends or the signal aborts, since the stream of an aborted call does not always end. */
async function* untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T, void, undefined> {
  const parts = source[Symbol.asyncIterator]();
  const aborted = new Promise<null>((resolve) => {
    if (signal.aborted) resolve(null);
    signal.addEventListener('abort', () => resolve(null), { once: true });
  });
  try {
    for (;;) {
      const next = await Promise.race([aborted, parts.next()]);
      if (!next || next.done) return;
      yield next.value;
    }
  } finally {
    void parts.return?.().catch(() => {});
  }
}

/**
 * Requests the answer from the model, sends events to the run's readers and keeps `soFar` up to date. Calls
 * `onProgress` after each change. Always returns an outcome: FAILED when the provider fails, stops responding or does
 * not stop sending; STOPPED when the run is stopped; INTERRUPTED when a shutdown stops the run. Never throws.
 */
export async function answer(
  request: AnswerRequest,
  run: ActiveRun,
  soFar: AnswerSoFar,
  onProgress: () => void,
  log: Log,
): Promise<AnswerEnd> {
  const { model, passages, limits } = request;
  const prompt = packPrompt({ ...request, contextWindow: model.contextWindow });
  const watchdog = new AbortController();
  let silence: NodeJS.Timeout | undefined;
  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(() => watchdog.abort(new Silence()), limits.modelSilenceMs);
  };
  const longest = setTimeout(() => watchdog.abort(new TooLong()), limits.turnMs);
  const signal = AbortSignal.any([run.signal, watchdog.signal]);
  const citations = new CitationStream(passages, request.includeCitations);
  let started = false;
  let filtered = false;

  const say = (parts: CitedPart[]) => {
    if (parts.length > 0 && !started) {
      started = true;
      run.emit({ type: 'answerStarted', documents: [...request.told] });
    }
    for (const part of parts) {
      if (part.type === 'text') {
        soFar.text += part.text;
        run.emit({ type: 'answerDelta', text: part.text });
      } else {
        const { number, documentId } = part;
        soFar.citations.push({ number, documentId });
        run.emit({ type: 'citation', number, documentId });
      }
    }
    onProgress();
  };

  let error: unknown;
  try {
    heard();
    const result = streamText({
      model: model.model,
      system: prompt.system,
      messages: prompt.messages,
      maxRetries,
      maxOutputTokens,
      ...(request.temperature !== null && { temperature: request.temperature }),
      providerOptions: {
        ...(request.advisesOperator && adviceForOperator),
        ...(request.reasoningEffort !== null && {
          openaiCompatible: { reasoningEffort: efforts[request.reasoningEffort] },
        }),
      },
      abortSignal: signal,
      // Errors arrive as parts of the stream. By default, the SDK also writes them to the console.
      onError: () => {},
    });
    for await (const part of untilAborted(result.fullStream, signal)) {
      heard();
      if (part.type === 'text-delta') say(citations.push(storable(part.text)));
      else if (part.type === 'reasoning-start') run.emit({ type: 'reasoningStarted' });
      else if (part.type === 'reasoning-end') run.emit({ type: 'reasoningEnded' });
      else if (part.type === 'reasoning-delta') {
        const text = storable(part.text);
        soFar.reasoning += text;
        run.emit({ type: 'reasoningDelta', text });
      } else if (part.type === 'tool-input-start' || part.type === 'tool-call')
        // The model received no tools, so any call is invalid, and it would continue calling.
        watchdog.abort(
          new UnknownAction(`The model called an action that is not available: ${nameOf(part.toolName)}.`),
        );
      else if (part.type === 'error') error ??= part.error;
      else if (part.type === 'finish') {
        filtered = part.finishReason === 'content-filter';
        soFar.inputTokens = reported(part.totalUsage.inputTokens);
        soFar.outputTokens = reported(part.totalUsage.outputTokens);
      }
      if (soFar.text.length + soFar.reasoning.length > maxLength) watchdog.abort(new TooMuch());
    }
  } catch (thrown) {
    error ??= thrown;
  } finally {
    clearTimeout(silence);
    clearTimeout(longest);
  }
  say(citations.end());
  // Estimated when the provider does not report usage, so that every turn counts.
  if (soFar.inputTokens === 0) {
    soFar.inputTokens = prompt.tokens;
    soFar.estimatedTokens += soFar.inputTokens;
  }
  if (soFar.outputTokens === 0) {
    soFar.outputTokens = estimateTokens(soFar.text + soFar.reasoning);
    soFar.estimatedTokens += soFar.outputTokens;
  }

  if (run.signal.aborted) return stopped(run);
  if (watchdog.signal.aborted) return failure(watchdog.signal.reason);
  if (error !== undefined) {
    log.warn({ runId: run.id, reason: redactSecrets(String((error as Error)?.message ?? error)) }, 'the model failed');
    return failure(error);
  }
  if (!started && filtered)
    return failed(turnFailure('CONTENT_POLICY', failureMessage('CONTENT_POLICY'), { retryable: false }));
  if (!started) return failed(turnFailure('UPSTREAM_FAILED', 'The model returned an empty answer.'));
  return { status: 'COMPLETE' };
}
