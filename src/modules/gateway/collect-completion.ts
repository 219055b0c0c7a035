import type { ChatModel } from '../../ai/providers.ts';
import { can, type Principal } from '../../authz/principal.ts';
import type { Agent } from '../../generated/prisma/client.ts';
import { answer } from '../chat/answer.ts';
import type { AnswerEnd, AnswerSoFar } from '../chat/answer-outcome.ts';
import type { NumberedHit } from '../chat/events.ts';
import type { GenerationDeps, Outcome } from '../chat/generation.ts';
import { mustRefuse, refuse } from '../chat/refusal.ts';
import type { ActiveRun } from '../chat/runs.ts';
import { asClientCalls, type CallSettings, type Heard } from './client-call.ts';
import type { CompletionRequest } from './completion-input.ts';
import { type Conversation, standIn } from './messages.ts';

/** A request with everything that its answer needs. */
interface PreparedCompletion {
  principal: Principal;
  request: CompletionRequest;
  run: ActiveRun;
  /** The agent with the instructions of the client. */
  agent: Agent;
  model: ChatModel;
  conversation: Conversation;
  callsWith: CallSettings;
  /** The tokens that the model reads in addition to the packed prompt. */
  beside: number;
  hits: NumberedHit[] | null;
  heard: Heard;
}

/** Requests the answer from the model, or refuses it. */
export async function collectCompletion(
  { settings, log }: GenerationDeps,
  completion: PreparedCompletion,
  soFar: AnswerSoFar,
): Promise<AnswerEnd> {
  const { principal, request, run, agent, model, conversation, callsWith, beside, hits, heard } = completion;
  const { question, earlier, images } = conversation;
  const writesJson = request.responseFormat != null && request.responseFormat.type !== 'TEXT';
  const material = { notes: [], images, additionalContext: null };
  if (mustRefuse(agent.chatMode, { ...material, passages: hits ?? [] })) return refuse(agent, run, soFar);
  const asked = {
    ...material,
    run,
    agent,
    projectInstructions: null,
    model: {
      ...model,
      model: asClientCalls(model.model, conversation, callsWith, heard),
      contextWindow: model.contextWindow - beside,
    },
    temperature: request.temperature ?? agent.temperature,
    reasoningEffort: request.reasoningEffort ?? null,
    history: earlier.map(standIn),
    question,
    files: [],
    earlierFiles: [],
    earlierImages: [],
    hits,
    // In JSON, a number in brackets is a list and not a citation.
    passages: writesJson ? [] : (hits ?? []),
    told: [],
    includeCitations: true,
    advisesOperator: can(principal, 'manage:settings'),
    limits: { modelSilenceMs: settings.modelSilenceMs, turnMs: settings.turnMs },
  };
  const end = await answer(log, asked, soFar);
  // When the provider reports no usage, the estimate covers the packed prompt only.
  if (!heard.counted && soFar.inputTokens > 0) {
    soFar.inputTokens += beside;
    soFar.estimatedTokens += beside;
  }
  // A model that only calls tools returns no text, and neither does one with too few output tokens.
  const ended = heard.finishReason !== null && heard.finishReason !== 'error';
  return 'failure' in end && !run.signal.aborted && ended ? { status: 'COMPLETE' } : end;
}

/** Records the usage of a completion, of which nothing else is stored. Never throws. */
export async function recordUsage(
  { usage, log }: GenerationDeps,
  { principal, run }: PreparedCompletion,
  { use, end }: Outcome,
): Promise<AnswerEnd> {
  if (use)
    await usage
      .record(principal, use)
      .catch((error: unknown) =>
        log.error({ error, runId: run.id }, 'the usage of a completion could not be recorded'),
      );
  return end;
}
