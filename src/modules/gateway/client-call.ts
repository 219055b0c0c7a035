import type { LanguageModelV3, LanguageModelV3CallOptions, LanguageModelV3StreamPart } from '@ai-sdk/provider';
import { wrapLanguageModel } from 'ai';
import { z } from 'zod';
import { WholeCharacters } from '../../unicode.ts';
import type { Conversation } from './messages.ts';

/** A piece of a call of one of the client's tools. The first of a call has its id and name. */
export interface CallPiece {
  /** Which of the answer's calls, from 0. */
  index: number;
  id: string | null;
  name: string | null;
  /** The next characters of its arguments, JSON. */
  arguments: string;
}

/** What the model said that is no text: which of the client's tools it calls, what it refuses, and why it ended. */
export class Heard {
  /** Why the model ended; null as long as it has not. */
  finishReason: 'stop' | 'length' | 'content-filter' | 'tool-calls' | 'error' | 'other' | null = null;
  /** Whether the provider said how many tokens it was sent. */
  counted = false;
  private readonly ids: string[] = [];
  private pieces = new Map<number, CallPiece>();
  private refusal: string | null = null;
  /** Refusals are read from raw chunks, which may end within a character. */
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
   * What came since the last time. Of each call that is one piece at most: OpenAI's clients take two of one index in a
   * chunk for two calls.
   */
  take(): { toolCalls: CallPiece[]; refusal: string | null; reasoning: string | null } {
    const taken = { toolCalls: [...this.pieces.values()], refusal: this.refusal, reasoning: this.reasoning };
    this.pieces = new Map();
    this.refusal = null;
    this.reasoning = null;
    return taken;
  }
}

/** What a client asks of the model beside the messages. */
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

/** The client's messages around the question as it was packed. Those that did not fit are left out, the oldest first. */
function promptOf(
  packed: LanguageModelV3CallOptions['prompt'],
  { earlier, since }: Conversation,
): LanguageModelV3CallOptions['prompt'] {
  const system = packed.filter(({ role }) => role === 'system');
  const question = packed.slice(-1);
  const kept = earlier.slice(earlier.length - (packed.length - system.length - question.length));
  // What a tool gave says nothing without the call.
  const first = kept.findIndex(({ role }) => role !== 'tool');
  return [...system, ...(first < 0 ? [] : kept.slice(first)), ...question, ...since];
}

/** A provider's chunk with words of a refusal, of which the SDK has no parts. */
const RefusalChunk = z.object({
  choices: z.tuple([z.object({ delta: z.object({ refusal: z.string().min(1) }) })], z.unknown()),
});

/** What a turn hears, and nobody is told of as an answer. */
const thought = (id: string, delta: string): LanguageModelV3StreamPart[] => [
  { type: 'reasoning-start', id },
  { type: 'reasoning-delta', id, delta },
  { type: 'reasoning-end', id },
];

/**
 * Takes out the calls of tools, which are the client's to answer, and refusals. They count as thoughts, so that a turn
 * hears them. A model that calls without having tools is left to the turn, which refuses that.
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
 * A model as one client calls it: a turn packs the question with its passages, and this puts the client's own messages,
 * tools and settings around it.
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
