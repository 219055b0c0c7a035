import { streamText, type TextStreamPart, type ToolSet } from 'ai';
import { adviceForOperator } from '../../ai/builtin-model.ts';
import { failureMessage } from '../../ai/provider-failure.ts';
import type { ChatModel } from '../../ai/providers.ts';
import { estimateTokens } from '../../ai/tokens.ts';
import { redactSecrets } from '../../authz/secret.ts';
import type { Agent, Prisma, ReasoningEffort } from '../../generated/prisma/client.ts';
import type { Log } from '../../log.ts';
import { cutText } from '../../unicode.ts';
import { type AnswerEnd, type AnswerSoFar, failed, stopped } from './answer-outcome.ts';
import { CitationStream, type CitedPart } from './citations.ts';
import type { NumberedHit } from './events.ts';
import { type Image, packPrompt, type Utterance } from './prompt.ts';
import type { ActiveRun } from './runs.ts';
import { modelFailure, turnFailure } from './turn-failure.ts';

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
  run: ActiveRun;
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
  /** Called after each change of the answer. */
  onProgress?: () => void;
}

/** Answers that are complete: excludes running ones and turns that failed before any text. */
export const answers = {
  role: 'ASSISTANT',
  status: { not: 'STREAMING' },
  NOT: { status: { in: ['FAILED', 'INTERRUPTED'] }, text: '' },
} satisfies Prisma.ChatMessageWhereInput;

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

/** Aborts a model that stops responding, responds for too long or responds with content that no answer can have. */
function modelWatchdog({ modelSilenceMs, turnMs }: AnswerLimits) {
  const controller = new AbortController();
  const abort = (reason: Error) => controller.abort(reason);
  let silence: NodeJS.Timeout | undefined;
  const longest = setTimeout(() => abort(new TooLong()), turnMs);
  return {
    signal: controller.signal,
    abort,
    /** Restarts the time of silence. */
    heard() {
      clearTimeout(silence);
      silence = setTimeout(() => abort(new Silence()), modelSilenceMs);
    },
    done() {
      clearTimeout(silence);
      clearTimeout(longest);
    },
  };
}

/** Writes what the model sends to `soFar` and to the events of the run. */
class AnswerWriter {
  /** True when the answer has text. */
  started = false;
  /** True when the provider reported that its content filter ended the answer. */
  filtered = false;
  private readonly citations: CitationStream;

  constructor(
    private readonly request: AnswerRequest,
    private readonly soFar: AnswerSoFar,
  ) {
    this.citations = new CitationStream(request.passages, request.includeCitations);
  }

  /** Writes a part of the model's stream. Ignores parts that contribute nothing to an answer. */
  write(part: TextStreamPart<ToolSet>): void {
    const { soFar } = this;
    const { run } = this.request;
    if (part.type === 'text-delta') this.say(this.citations.push(storable(part.text)));
    else if (part.type === 'reasoning-start') run.emit({ type: 'reasoningStarted' });
    else if (part.type === 'reasoning-end') run.emit({ type: 'reasoningEnded' });
    else if (part.type === 'reasoning-delta') {
      const text = storable(part.text);
      soFar.reasoning += text;
      run.emit({ type: 'reasoningDelta', text });
    } else if (part.type === 'finish') {
      this.filtered = part.finishReason === 'content-filter';
      soFar.inputTokens = reported(part.totalUsage.inputTokens);
      soFar.outputTokens = reported(part.totalUsage.outputTokens);
    }
  }

  /** Writes text that was held back, because it could have become a citation. */
  end(): void {
    this.say(this.citations.end());
  }

  private say(parts: CitedPart[]): void {
    const { run, told, onProgress } = this.request;
    if (parts.length > 0 && !this.started) {
      this.started = true;
      run.emit({ type: 'answerStarted', documents: [...told] });
    }
    for (const part of parts) {
      if (part.type === 'text') {
        this.soFar.text += part.text;
        run.emit({ type: 'answerDelta', text: part.text });
      } else {
        const { number, documentId } = part;
        this.soFar.citations.push({ number, documentId });
        run.emit({ type: 'citation', number, documentId });
      }
    }
    onProgress?.();
  }
}

/** Returns the reason to abort a model after a part of its stream, or null. */
function violation(part: TextStreamPart<ToolSet>, { text, reasoning }: AnswerSoFar): Error | null {
  // The model received no tools, so any call is invalid, and it would continue calling.
  if (part.type === 'tool-input-start' || part.type === 'tool-call')
    return new UnknownAction(`The model called an action that is not available: ${nameOf(part.toolName)}.`);
  return text.length + reasoning.length > maxLength ? new TooMuch() : null;
}

/** Estimates the tokens that the provider did not report, so that every turn counts. */
function estimateMissing(soFar: AnswerSoFar, promptTokens: number): void {
  if (soFar.inputTokens === 0) {
    soFar.inputTokens = promptTokens;
    soFar.estimatedTokens += soFar.inputTokens;
  }
  if (soFar.outputTokens === 0) {
    soFar.outputTokens = estimateTokens(soFar.text + soFar.reasoning);
    soFar.estimatedTokens += soFar.outputTokens;
  }
}

/** Returns the options of the call to the model. */
const callOptions = ({ model, temperature, reasoningEffort, advisesOperator }: AnswerRequest) => ({
  model: model.model,
  maxRetries,
  maxOutputTokens,
  ...(temperature !== null && { temperature }),
  providerOptions: {
    ...(advisesOperator && adviceForOperator),
    ...(reasoningEffort !== null && { openaiCompatible: { reasoningEffort: efforts[reasoningEffort] } }),
  },
  // Errors arrive as parts of the stream. By default, the SDK also writes them to the console.
  onError: () => {},
});

/**
 * Requests the answer from the model, sends events to the run's readers and keeps `soFar` up to date. Always returns an
 * outcome: FAILED when the provider fails, stops responding or does not stop sending; STOPPED when the run is stopped;
 * INTERRUPTED when a shutdown stops the run. Never throws.
 */
export async function answer(log: Log, request: AnswerRequest, soFar: AnswerSoFar): Promise<AnswerEnd> {
  const { run, model } = request;
  const prompt = packPrompt({ ...request, contextWindow: model.contextWindow });
  const watchdog = modelWatchdog(request.limits);
  const signal = AbortSignal.any([run.signal, watchdog.signal]);
  const writer = new AnswerWriter(request, soFar);
  let error: unknown;
  try {
    watchdog.heard();
    const { system, messages } = prompt;
    const { fullStream } = streamText({ ...callOptions(request), system, messages, abortSignal: signal });
    for await (const part of untilAborted(fullStream, signal)) {
      watchdog.heard();
      if (part.type === 'error') error ??= part.error;
      else writer.write(part);
      const reason = violation(part, soFar);
      if (reason) watchdog.abort(reason);
    }
  } catch (thrown) {
    error ??= thrown;
  } finally {
    watchdog.done();
  }
  writer.end();
  estimateMissing(soFar, prompt.tokens);

  if (run.signal.aborted) return stopped(run);
  if (watchdog.signal.aborted) return failure(watchdog.signal.reason);
  if (error !== undefined) {
    log.warn({ runId: run.id, reason: redactSecrets(String((error as Error)?.message ?? error)) }, 'the model failed');
    return failure(error);
  }
  if (writer.started) return { status: 'COMPLETE' };
  return writer.filtered
    ? failed(turnFailure('CONTENT_POLICY', failureMessage('CONTENT_POLICY'), { retryable: false }))
    : failed(turnFailure('UPSTREAM_FAILED', 'The model returned an empty answer.'));
}
