import type { LanguageModelV3, LanguageModelV3StreamPart } from '@ai-sdk/provider';
import { convertArrayToReadableStream, MockLanguageModelV3 } from 'ai/test';
import { expect, it } from 'vitest';
import { withWholeCharacters } from './whole-characters.ts';

async function streamed(parts: LanguageModelV3StreamPart[]): Promise<LanguageModelV3StreamPart[]> {
  const model: LanguageModelV3 = new MockLanguageModelV3({
    doStream: async () => ({ stream: convertArrayToReadableStream(parts) }),
  });
  const { stream } = await withWholeCharacters(model).doStream({ prompt: [] });
  const told: LanguageModelV3StreamPart[] = [];
  for await (const part of stream) told.push(part);
  return told;
}

it('moves chunk boundaries of text, reasoning and tool input to whole characters, per stream', async () => {
  const delta = (type: 'text-delta' | 'reasoning-delta' | 'tool-input-delta', delta: string, id = '1') => ({
    ...{ type, id, delta },
  });
  const told = await streamed([
    delta('reasoning-delta', 'a\ud83d'),
    delta('text-delta', 'b\ud83d'),
    delta('reasoning-delta', '\ude00'),
    delta('text-delta', '\ude01'),
    delta('text-delta', 'c\ud83d', '2'),
    { type: 'text-end', id: '2' },
    delta('tool-input-delta', '"\ud83d'),
    delta('tool-input-delta', '\ude02"'),
    { type: 'tool-call', toolCallId: '1', toolName: 'x', input: '"\ud83d"' },
    delta('text-delta', '\ud83d', '3'),
  ]);
  expect(told).toEqual([
    delta('reasoning-delta', 'a'),
    delta('text-delta', 'b'),
    delta('reasoning-delta', '😀'),
    delta('text-delta', '😁'),
    delta('text-delta', 'c', '2'),
    delta('text-delta', '\ufffd', '2'),
    { type: 'text-end', id: '2' },
    delta('tool-input-delta', '"'),
    delta('tool-input-delta', '😂"'),
    { type: 'tool-call', toolCallId: '1', toolName: 'x', input: '"\ufffd"' },
    delta('text-delta', '\ufffd', '3'),
  ]);
});
