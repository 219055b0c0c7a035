import type { LanguageModelV3, LanguageModelV3CallOptions, LanguageModelV3StreamPart } from '@ai-sdk/provider';
import { wrapLanguageModel } from 'ai';
import { z } from 'zod';
import { WholeCharacters } from '../../unicode.ts';
import type { Conversation } from './messages.ts';

/** A delta of a call of one of the client's tools. The first delta of a call has its ID and name. */
export interface CallPiece {
  /** Index of the call in the answer, from 0. */
  index: number;
  id: string | null;
  name: string | null;
  /** The next characters of its arguments, which are JSON. */
  arguments: string;
}

/** The output of the model that is not text: calls of the client's tools, a refusal, and the finish reason. */
export class Heard {
  /** Why the model ended; null until then. */
  finishReason: 'stop' | 'length' | 'content-filter' | 'tool-calls' | 'error' | 'other' | null = null;
  /** Set when the provider reported the number of input tokens. */
  counted = false;
  private readonly ids: string[] = [];
  private pieces = new Map<number, CallPiece>();
  private refusal: string | null = null;
  /** Refusals are read from raw chunks, which can end within a character. */
  private readonly refused = new WholeCharacters();
  private reasoning: string | null = null;

  get calls(): boolean {
    return this.ids.length > 0;
  }

  knows(id: string): boolean {
    return this.ids.includes(id);
  }

  begin(id: string, name: string): void {
    this.ids.push(id);
    const index = this.ids.length - 1;
    this.pieces.set(index, { index, id, name, arguments: '' });
  }

  goOn(id: string, text: string): void {
    const index = this.ids.indexOf(id);
    const piece = this.pieces.get(index);
    if (piece) piece.arguments += text;
    else this.pieces.set(index, { index, id: null, name: null, arguments: text });
  }

  refuse(text: string): void {
    const whole = this.refused.push(text);
    if (whole !== '') this.refusal = (this.refusal ?? '') + whole;
  }

  think(text: string): void {
    this.reasoning = (this.reasoning ?? '') + text;
  }

  /**
   * Returns the output since the last call, with at most one delta per tool call: OpenAI clients read two deltas with
   * one index in a chunk as two calls.
   */
  take(): { toolCalls: CallPiece[]; refusal: string | null; reasoning: string | null } {
    const taken = { toolCalls: [...this.pieces.values()], refusal: this.refusal, reasoning: this.reasoning };
    this.pieces = new Map();
    this.refusal = null;
    this.reasoning = null;
    return taken;
  }
}

/** The options of a client's request besides its messages. */
export type CallSettings = Partial<
  Pick<
    LanguageModelV3CallOptions,
    | 'maxOutputTokens'
    | 'topP'
    | 'presencePenalty'
    | 'frequencyPenalty'
    | 'seed'
    | 'stopSequences'
    | 'tools'
    | 'toolChoice'
    | 'providerOptions'
  >
>;

/** Returns the client's messages around the packed question. Messages that did not fit are omitted, oldest first. */
function promptOf(
  packed: LanguageModelV3CallOptions['prompt'],
  { earlier, since }: Conversation,
): LanguageModelV3CallOptions['prompt'] {
  const system = packed.filter(({ role }) => role === 'system');
  const question = packed.slice(-1);
  const kept = earlier.slice(earlier.length - (packed.length - system.length - question.length));
  // A tool result without its call has no meaning.
  const first = kept.findIndex(({ role }) => role !== 'tool');
  return [...system, ...(first < 0 ? [] : kept.slice(first)), ...question, ...since];
}

/** A provider's chunk with text of a refusal, for which the SDK has no part. */
const RefusalChunk = z.object({
  choices: z.tuple([z.object({ delta: z.object({ refusal: z.string().min(1) }) })], z.unknown()),
});

/** A part that the turn reads and no client receives as an answer. */
const thought = (id: string, delta: string): LanguageModelV3StreamPart[] => [
  { type: 'reasoning-start', id },
  { type: 'reasoning-delta', id, delta },
  { type: 'reasoning-end', id },
];

/**
 * Removes tool calls, which the client answers, and refusals. They count as reasoning, so that the turn sees activity.
 * A model that calls tools without having any is rejected by the turn.
 */
function hearing(heard: Heard, tools: boolean): TransformStream<LanguageModelV3StreamPart, LanguageModelV3StreamPart> {
  return new TransformStream({
    transform(part, controller) {
      if (part.type === 'raw') {
        const refusal = RefusalChunk.safeParse(part.rawValue).data?.choices[0].delta.refusal;
        if (refusal === undefined) return;
        heard.refuse(refusal);
        for (const heardPart of thought('refusal', refusal)) controller.enqueue(heardPart);
      } else if (!tools || !part.type.startsWith('tool-')) {
        if (part.type === 'finish') {
          heard.finishReason = part.finishReason.unified;
          heard.counted = (part.usage.inputTokens.total ?? 0) > 0;
        } else if (part.type === 'reasoning-delta') heard.think(part.delta.replaceAll('\0', ''));
        controller.enqueue(part);
      } else if (part.type === 'tool-input-start') {
        heard.begin(part.id, part.toolName);
        controller.enqueue({ type: 'reasoning-start', id: part.id });
      } else if (part.type === 'tool-input-delta') {
        heard.goOn(part.id, part.delta);
        controller.enqueue({ type: 'reasoning-delta', id: part.id, delta: part.delta });
      } else if (part.type === 'tool-input-end') controller.enqueue({ type: 'reasoning-end', id: part.id });
      else if (part.type === 'tool-call' && !heard.knows(part.toolCallId)) {
        heard.begin(part.toolCallId, part.toolName);
        heard.goOn(part.toolCallId, part.input);
        for (const heardPart of thought(part.toolCallId, part.input)) controller.enqueue(heardPart);
      }
    },
  });
}

/**
 * Wraps a model for one client request: a turn packs the question with its passages, and this adds the client's own
 * messages, tools and options.
 */
export const asClientCalls = (
  model: LanguageModelV3,
  conversation: Conversation,
  settings: CallSettings,
  heard: Heard,
): LanguageModelV3 =>
  wrapLanguageModel({
    model,
    middleware: {
      specificationVersion: 'v3',
      transformParams: async ({ params }) => ({
        ...params,
        ...settings,
        includeRawChunks: true,
        maxOutputTokens: Math.min(
          settings.maxOutputTokens ?? Number.POSITIVE_INFINITY,
          params.maxOutputTokens ?? Number.POSITIVE_INFINITY,
        ),
        providerOptions: {
          ...params.providerOptions,
          openaiCompatible: {
            ...params.providerOptions?.openaiCompatible,
            ...settings.providerOptions?.openaiCompatible,
          },
        },
        prompt: promptOf(params.prompt, conversation),
      }),
      wrapStream: async ({ doStream }) => {
        const { stream, ...rest } = await doStream();
        return { ...rest, stream: stream.pipeThrough(hearing(heard, settings.tools !== undefined)) };
      },
    },
  });
