import { conflict, invalidCredential } from '../../errors.ts';
import type { TurnUsage } from '../chat/events.ts';
import { turnError } from '../chat/turn-failure.ts';
import type { CallPiece, Heard } from './client-call.ts';
import type { CompletionHead, StartedCompletion } from './start-completion.ts';

/** Why an answer ended. */
export type FinishReason = 'STOP' | 'LENGTH' | 'TOOL_CALLS' | 'CONTENT_FILTER';

/** A delta of an answer, in order. The last one has the finish reason and the usage. */
export interface CompletionChunk extends CompletionHead {
  text: string | null;
  reasoning: string | null;
  refusal: string | null;
  toolCalls: CallPiece[];
  finishReason: FinishReason | null;
  usage: TurnUsage | null;
}

/** A complete answer. */
export interface Completion extends CompletionHead {
  /** Null when the model only calls tools or refuses. */
  text: string | null;
  /** The model's reasoning before the answer; null when the model did not report reasoning. */
  reasoning: string | null;
  /** The text of a refusal, when the provider distinguishes it from an answer. */
  refusal: string | null;
  toolCalls: { id: string; name: string; arguments: string }[];
  finishReason: FinishReason;
  /** Null when no model was called. */
  usage: TurnUsage | null;
}

const finishReasons: Partial<Record<NonNullable<Heard['finishReason']>, FinishReason>> = {
  length: 'LENGTH',
  'content-filter': 'CONTENT_FILTER',
  'tool-calls': 'TOOL_CALLS',
};

const finishReasonOf = ({ finishReason, calls }: Heard): FinishReason =>
  (finishReason && finishReasons[finishReason]) ?? (calls ? 'TOOL_CALLS' : 'STOP');

/**
 * Yields an answer as it is generated. Throws UPSTREAM_FAILED and similar errors when it breaks off. The answer ends
 * when its reader stops.
 */
export async function* readCompletion({
  head,
  run,
  heard,
  includeUsage,
  revoked,
}: StartedCompletion): AsyncGenerator<CompletionChunk> {
  const chunk = { text: null, reasoning: null, refusal: null, toolCalls: [], finishReason: null, usage: null };
  const nothing = { ...head, ...chunk };
  try {
    for await (const event of run.read(0)) {
      const { toolCalls, refusal, reasoning } = heard.take();
      if (reasoning !== null) yield { ...nothing, reasoning };
      if (refusal !== null) yield { ...nothing, refusal };
      if (toolCalls.length > 0) yield { ...nothing, toolCalls };
      if (event.type === 'answerDelta') yield { ...nothing, text: event.text };
      else if (event.type === 'failed') throw turnError(event);
      else if (event.type === 'stopped') {
        if (event.reason === 'USER_CANCELLED')
          throw revoked() ? invalidCredential() : conflict('ANSWER_STOPPED', 'The answer was stopped.');
        yield { ...nothing, finishReason: finishReasonOf(heard), usage: event.usage ?? null };
        if (includeUsage) yield { ...nothing, usage: event.usage ?? null };
      }
    }
  } finally {
    run.stop();
  }
}
