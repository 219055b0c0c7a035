import type { LanguageModelV3 } from '@ai-sdk/provider';
import { generateText, simulateReadableStream, streamText, wrapLanguageModel } from 'ai';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { separateReasoning } from './reasoning.ts';

type Unified = 'stop' | 'length';

function modelOf(chunks: string[], unified: Unified): LanguageModelV3 {
  const usage = {
    inputTokens: { total: 1, noCache: 1, cacheRead: undefined, cacheWrite: undefined },
    outputTokens: { total: 1, text: 1, reasoning: undefined },
  };
  const finishReason = { unified, raw: undefined };
  return wrapLanguageModel({
    model: {
      specificationVersion: 'v3',
      provider: 'test',
      modelId: 'test',
      supportedUrls: {},
      doGenerate: async () => ({
        content: [{ type: 'text', text: chunks.join('') }],
        finishReason,
        usage,
        warnings: [],
      }),
      doStream: async () => ({
        stream: simulateReadableStream({
          chunkDelayInMs: null,
          initialDelayInMs: null,
          chunks: [
            { type: 'stream-start' as const, warnings: [] },
            { type: 'text-start' as const, id: 'text' },
            ...chunks.map((delta) => ({ type: 'text-delta' as const, id: 'text', delta })),
            { type: 'text-end' as const, id: 'text' },
            { type: 'finish' as const, finishReason, usage },
          ],
        }),
      }),
    },
    middleware: separateReasoning(),
  });
}

interface Separated {
  reasoning: string;
  text: string;
}

async function streamed(chunks: string[], unified: Unified = 'stop'): Promise<Separated> {
  const said: Separated = { reasoning: '', text: '' };
  const open = new Set<string>();
  for await (const part of streamText({ model: modelOf(chunks, unified), prompt: 'Hi' }).fullStream) {
    if (part.type === 'error') throw part.error;
    if (part.type === 'reasoning-start' || part.type === 'text-start') open.add(part.id);
    if (part.type === 'reasoning-end' || part.type === 'text-end') expect(open.delete(part.id)).toBe(true);
    if (part.type !== 'reasoning-delta' && part.type !== 'text-delta') continue;
    expect(open).toContain(part.id);
    expect(part.text).not.toBe('');
    said[part.type === 'text-delta' ? 'text' : 'reasoning'] += part.text;
  }
  expect(open.size).toBe(0);
  return said;
}

async function generated(text: string, unified: Unified = 'stop'): Promise<Separated> {
  const result = await generateText({ model: modelOf([text], unified), prompt: 'Hi' });
  return { reasoning: result.reasoningText ?? '', text: result.text };
}

const cases: [name: string, written: string, expected: Separated][] = [
  [
    'a block before the answer',
    '<think>\nA greeting.\n</think>\n\nHello!',
    { reasoning: 'A greeting.', text: 'Hello!' },
  ],
  ['whitespace before the block', ' \n<think>Hm.</think>Yes', { reasoning: 'Hm.', text: 'Yes' }],
  ['an empty block', '<think>\n\n</think>\n\nHello!', { reasoning: '', text: 'Hello!' }],
  ['an answer without a block', '  Hello <b>you</b>', { reasoning: '', text: '  Hello <b>you</b>' }],
  [
    'an answer that mentions the tags later',
    'Put it in <think> and </think>.\n<think>\nnot this\n</think>',
    { reasoning: '', text: 'Put it in <think> and </think>.\n<think>\nnot this\n</think>' },
  ],
  ['a mention after a block', '<think>a</think>Use <think>.', { reasoning: 'a', text: 'Use <think>.' }],
  ['a block that mentions the opening tag', '<think>a <think> b</think>c', { reasoning: 'a <think> b', text: 'c' }],
  ['tags that only look alike', '<thinking>a</thinking>', { reasoning: '', text: '<thinking>a</thinking>' }],
  ['a beginning of the tag', '<thin', { reasoning: '', text: '<thin' }],
  ['spaces within a block', '<think>a  <  b\n\nc</think> d', { reasoning: 'a  <  b\n\nc', text: 'd' }],
];

describe('think blocks', () => {
  test.each(cases)('%s: reasoning and text are separated in a whole answer', async (_name, written, expected) => {
    expect(await generated(written)).toEqual(expected);
  });

  test.each(cases)(
    '%s: reasoning and text are separated wherever the stream is split',
    async (_name, written, expected) => {
      expect(await streamed([written])).toEqual(expected);
      expect(await streamed([...written])).toEqual(expected);
      await fc.assert(
        fc.asyncProperty(fc.array(fc.nat(written.length), { maxLength: 6 }), async (cuts) => {
          const sorted = [0, ...cuts.sort((a, b) => a - b), written.length];
          const chunks = sorted.slice(1).map((end, index) => written.slice(sorted[index], end));
          expect(await streamed(chunks.filter((chunk) => chunk !== ''))).toEqual(expected);
        }),
        { numRuns: 20 },
      );
    },
  );

  test('two consecutive blocks are both reasoning', async () => {
    const written = '<think>a</think>\n<think>b</think>\nc';
    expect(await streamed([...written])).toEqual({ reasoning: 'ab', text: 'c' });
    expect((await generated(written)).text).toBe('c');
  });

  test('an unclosed block is reasoning when the token limit ended the answer', async () => {
    expect(await streamed(['<think>a b', ' c'], 'length')).toEqual({ reasoning: 'a b c', text: '' });
    expect(await generated('<think>a b c', 'length')).toEqual({ reasoning: 'a b c', text: '' });
  });

  test('an unclosed block is reasoning and, unchanged, also the answer when the model ended it', async () => {
    const expected = { reasoning: 'is a tag', text: '<think> is a tag' };
    expect(await streamed([...expected.text])).toEqual(expected);
    expect(await generated(expected.text)).toEqual(expected);
  });
});
