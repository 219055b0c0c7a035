import type { LanguageModelV3, LanguageModelV3StreamPart } from '@ai-sdk/provider';
import { wrapLanguageModel } from 'ai';
import { WholeCharacters } from '../unicode.ts';

type Part = LanguageModelV3StreamPart;
type Delta = Extract<Part, { type: 'text-delta' | 'reasoning-delta' | 'tool-input-delta' }>;

const isDelta = (part: Part): part is Delta => part.type.endsWith('-delta');
/** Text, reasoning and tool input have separate IDs. */
const keyOf = ({ type, id }: { type: string; id: string }): string => `${type.replace(/-\w+$/, '')} ${id}`;

/** Moves the boundaries of deltas so that they never split a character. */
function betweenCharacters(): TransformStream<Part, Part> {
  const texts = new Map<string, { delta: Delta; characters: WholeCharacters }>();
  const rest = (key: string): Part[] => {
    const text = texts.get(key);
    texts.delete(key);
    const half = text?.characters.end();
    return text && half ? [{ ...text.delta, delta: half }] : [];
  };
  return new TransformStream({
    transform(part, controller) {
      if (isDelta(part)) {
        const text = texts.get(keyOf(part)) ?? { delta: part, characters: new WholeCharacters() };
        texts.set(keyOf(part), text);
        const delta = text.characters.push(part.delta);
        if (delta !== '' || part.delta === '') controller.enqueue({ ...part, delta });
        return;
      }
      if (part.type === 'text-end' || part.type === 'reasoning-end' || part.type === 'tool-input-end')
        for (const last of rest(keyOf(part))) controller.enqueue(last);
      controller.enqueue(part.type === 'tool-call' ? { ...part, input: part.input.toWellFormed() } : part);
    },
    flush(controller) {
      for (const key of [...texts.keys()]) for (const last of rest(key)) controller.enqueue(last);
    },
  });
}

/**
 * Returns a model whose streamed deltas contain whole characters only. A provider can split its chunks within a
 * surrogate pair; an incomplete half becomes U+FFFD.
 */
export const withWholeCharacters = (model: LanguageModelV3): LanguageModelV3 =>
  wrapLanguageModel({
    model,
    middleware: {
      specificationVersion: 'v3',
      wrapStream: async ({ doStream }) => {
        const { stream, ...rest } = await doStream();
        return { ...rest, stream: stream.pipeThrough(betweenCharacters()) };
      },
    },
  });
