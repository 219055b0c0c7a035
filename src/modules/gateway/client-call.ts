import type { LanguageModelV3, LanguageModelV3CallOptions, LanguageModelV3StreamPart } from '@ai-sdk/provider';
import { wrapLanguageModel } from 'ai';
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

/** What the model said that is no text: which of the client's tools it calls, and why it ended. */
export class Heard {
  /** Why the model ended; null as long as it has not. */
  finishReason: 'stop' | 'length' | 'content-filter' | 'tool-calls' | 'error' | 'other' | null = null;
  /** Whether the provider said how many tokens it was sent. */
  counted = false;
  private readonly ids: string[] = [];
  private pieces: CallPiece[] = [];

  get calls(): boolean {
    return this.ids.length > 0;
  }

  knows(id: string): boolean {
    return this.ids.includes(id);
  }

  begin(id: string, name: string): void {
    this.ids.push(id);
    this.pieces.push({ index: this.ids.length - 1, id, name, arguments: '' });
  }

  goOn(id: string, text: string): void {
    this.pieces.push({ index: this.ids.indexOf(id), id: null, name: null, arguments: text });
  }

  /** The pieces since the last time. */
  take(): CallPiece[] {
    const pieces = this.pieces;
    this.pieces = [];
    return pieces;
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

/**
 * Takes out the calls of tools: those are the client's to answer. They count as thoughts, so that a turn hears them. A
 * model that calls without having tools is left to the turn, which refuses that.
 */
function hearing(heard: Heard, tools: boolean): TransformStream<LanguageModelV3StreamPart, LanguageModelV3StreamPart> {
  return new TransformStream({
    transform(part, controller) {
      if (!tools || !part.type.startsWith('tool-')) {
        if (part.type === 'finish') {
          heard.finishReason = part.finishReason.unified;
          heard.counted = (part.usage.inputTokens.total ?? 0) > 0;
        }
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
        controller.enqueue({ type: 'reasoning-start', id: part.toolCallId });
        controller.enqueue({ type: 'reasoning-delta', id: part.toolCallId, delta: part.input });
        controller.enqueue({ type: 'reasoning-end', id: part.toolCallId });
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
        maxOutputTokens: Math.min(
          settings.maxOutputTokens ?? Number.POSITIVE_INFINITY,
          params.maxOutputTokens ?? Number.POSITIVE_INFINITY,
        ),
        providerOptions: {
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
