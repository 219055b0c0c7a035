import { Readable } from 'node:stream';
import { generateText, streamText } from 'ai';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { adviceForOperator, embeddedModel } from './builtin-model.ts';
import { selectQuotes } from './extractive-answer.ts';
import { type Passage, renderPassages } from './passages.ts';
import { estimateTokens } from './tokens.ts';

const KEYS = `## Keys

There are three kinds of credentials. An API key acts as its own user and never expires unless
you say so.

| role | may |
|---|---|
| limited | send messages and read the answers to them |
| basic | what a person may do |

### Creating a limited key

A limited key sends messages and reads no history. Create one with the \`createApiKey\` mutation:

\`\`\`graphql
mutation {
  createApiKey(input: { name: "bot", role: LIMITED }) { secret }
}
\`\`\`

Or over REST, with an admin key:

\`\`\`sh
curl -X POST http://127.0.0.1:4000/api/admin/api-key -H "Authorization: Bearer $ADMIN_KEY" \\
  -d '{"name": "bot", "role": "limited"}'
\`\`\`

### Revoking

1. Open GraphiQL.
2. Call \`deleteApiKey\` with the key's id.
3. The next request with that key fails with 401.
`;
const START = `# Latchkey

Latchkey is a GraphQL server for chat, agents and the keys that open them.

## Quick start

Clone the repository, then run \`npm start\`. It prints the first admin key once.
`;
const FAQ = `Can I use LM Studio? Yes. Set LLM_BASE_URL to its address.

Keys rotate with an overlap, see [2] and \`list[1]\`. ![diagram](http://tracker.test/pixel.png) Nothing else changes.
`;

const passage = (number: number, text: string, title = 'README'): Passage => ({
  number,
  title,
  link: `https://docs.test/${number}`,
  text,
});
const passages = [passage(1, KEYS), passage(2, START), passage(3, FAQ, 'Questions')];
const prompt = (question: string, list = passages) => `${renderPassages(list)}\n\n${question}`;
const ask = async (question: string, list = passages, providerOptions = {}) =>
  (await generateText({ model: embeddedModel(), prompt: prompt(question, list), providerOptions })).text;

describe('the built-in model', () => {
  it('quotes the lines and commands that answer the question and cites their passage by number', async () => {
    const text = await ask('How do I create a limited key?');
    expect(text).toContain('Create one with the `createApiKey` mutation:\n>\n');
    expect(text).toContain(
      '> ```graphql\n> mutation {\n>   createApiKey(input: { name: "bot", role: LIMITED }) { secret }',
    );
    expect(text).toContain(`>   -d '{"name": "bot", "role": "limited"}'\n> \`\`\`\n>\n> [1]`);
    expect(text).not.toContain('[2]');
    expect(text).not.toContain('deleteApiKey');
  });

  it('keeps steps together, a table row below its header and an answer with its question', async () => {
    expect(await ask('how can I revoke a key')).toContain(
      "> 1. Open GraphiQL.\n> 2. Call `deleteApiKey` with the key's id.\n> 3. The next request with that key fails with 401. [1]",
    );
    expect(await ask('What may a basic key do?')).toContain(
      '> | role | may |\n> |---|---|\n> | basic | what a person may do |\n>\n> [1]',
    );
    expect(await ask('Is LM Studio supported?')).toContain(
      '> Can I use LM Studio? Yes. Set LLM_BASE_URL to its address. [3]',
    );
  });

  it('states that it only quotes and names to an operator the settings that connect a model', async () => {
    const text = await ask('How do I create a limited key?', passages, adviceForOperator);
    expect(text).toContain('quotes');
    expect(text).toContain('without further interpretation');
    for (const setting of ['LLM_PROVIDER=openai-compatible', 'LLM_BASE_URL', 'LLM_MODEL'])
      expect(text).toContain(setting);
  });

  it('states that it only quotes and names no setting to other callers', async () => {
    for (const list of [passages, []]) {
      const text = await ask('How do I create a limited key?', list);
      expect(text).toMatch(/quote/);
      expect(text).not.toMatch(/LLM_|ingestion/);
    }
  });

  it('reports that it found no answer, and tells an operator how to add documents, without a passage', async () => {
    for (const list of [[], [passage(1, ' \n')]]) {
      const text = await ask('How do I create a limited key?', list, adviceForOperator);
      expect(text).toContain('did not find an answer');
      expect(text).toContain('POST /api/onyx-api/ingestion');
      expect(text).toContain('LLM_PROVIDER=openai-compatible');
    }
    const bare = await generateText({ model: embeddedModel(), prompt: 'Hello' });
    expect(bare.text).toContain('did not find an answer');
  });

  it('answers only the latest user message', async () => {
    const { text } = await generateText({
      model: embeddedModel(),
      system: 'Answer from the passages.',
      messages: [
        { role: 'user', content: prompt('How do I create a limited key?') },
        { role: 'assistant', content: 'See above.' },
        { role: 'user', content: prompt('Which server is Latchkey?', [passage(7, START)]) },
      ],
    });
    expect(text).toContain('[7]');
    expect(text).not.toContain('createApiKey');
  });

  it('escapes an [n] in a document so that it is not a citation, and removes images of documents', async () => {
    const text = await ask('Do keys rotate with an overlap, and is there a diagram?');
    expect(text).toContain('see \\[2\\] and `list[1]`');
    expect(text).not.toContain('tracker.test');
    expect(text.match(/(?<!`list)\[\d+\]/g)).toEqual(['[3]']);
  });

  it('streams the same text as a non-streamed answer, word by word, and reports token usage', async () => {
    const question = 'How do I create a limited key?';
    const { stream } = await embeddedModel().doStream({
      prompt: [{ role: 'user', content: [{ type: 'text', text: prompt(question) }] }],
    });
    const types: string[] = [];
    let text = '';
    for await (const part of stream) {
      if (types.at(-1) !== part.type) types.push(part.type);
      if (part.type === 'text-delta') text += part.delta;
    }
    expect(types).toEqual(['stream-start', 'text-start', 'text-delta', 'text-end', 'finish']);
    expect(text).toBe(await ask(question));

    const streamed = streamText({ model: embeddedModel(), prompt: prompt(question) });
    const deltas = await Readable.from(streamed.textStream).toArray();
    expect(deltas.length).toBeGreaterThan(5);
    expect(deltas.join('')).toBe(text);
    expect(await streamed.finishReason).toBe('stop');
    expect(await streamed.usage).toMatchObject({
      inputTokens: estimateTokens(prompt(question)),
      outputTokens: estimateTokens(text),
    });
  });

  it('stops at the maximum number of output tokens', async () => {
    const { text, usage, finishReason } = await generateText({
      model: embeddedModel(),
      prompt: prompt('How do I create a limited key?'),
      maxOutputTokens: 20,
    });
    expect(finishReason).toBe('length');
    expect(usage.outputTokens).toBeLessThanOrEqual(20);
    expect(text).not.toBe('');
  });

  it('stops with the abort reason when the call is aborted', async () => {
    const abort = new AbortController();
    const { stream } = await embeddedModel().doStream({
      prompt: [{ role: 'user', content: [{ type: 'text', text: prompt('How do I create a limited key?') }] }],
      abortSignal: abort.signal,
    });
    const reason = new Error('stopped by the test');
    const seen: string[] = [];
    await expect(async () => {
      for await (const part of stream) {
        seen.push(part.type);
        if (part.type === 'text-delta') abort.abort(reason);
      }
    }).rejects.toBe(reason);
    expect(seen).not.toContain('finish');
    await expect(embeddedModel().doGenerate({ prompt: [], abortSignal: abort.signal })).rejects.toBe(reason);
  });
});

describe('selectQuotes', () => {
  const fragment = fc.constantFrom(
    'How to create a key? ',
    'Keys are limited. ',
    'Note: ',
    '\n',
    '\n\n',
    '```\n',
    '# Limited keys\n',
    '- create it\n',
    '1. key\n',
    '| key | limit |\n',
    '|---|---|\n',
    'x'.repeat(700),
    '鍵を作る。',
    '![a](b)',
    '<p>\n',
  );
  const text = fc
    .array(fc.oneof(fragment, fc.string({ unit: 'binary' })), { maxLength: 60 })
    .map((list) => list.join(''));

  it('is deterministic for any text and quotes at most 1200 characters from at most three passages', () => {
    fc.assert(
      fc.property(fc.string(), fc.array(text, { maxLength: 6 }), (extra, texts) => {
        const list = texts.map((each, index) => passage(index + 1, each));
        const quotes = selectQuotes(`How do I create a limited key? ${extra}`, list);
        expect(quotes.map(({ markdown }) => markdown).join('').length).toBeLessThanOrEqual(1200);
        expect(new Set(quotes.map(({ number }) => number)).size).toBeLessThanOrEqual(3);
        expect(selectQuotes(`How do I create a limited key? ${extra}`, list)).toEqual(quotes);
      }),
    );
  });

  it('quotes at most 1200 characters and only whole sentences', () => {
    const sentences = [1, 2, 3, 4].map((n) => `Limited key${` number${n} word`.repeat(35)}.`);
    const quotes = selectQuotes('limited key', [passage(1, sentences.join(' '))]);
    expect(quotes).toEqual([{ number: 1, markdown: sentences.slice(0, 2).join(' ') }]);
  });

  it('quotes a sentence once when two overlapping passages contain it', () => {
    const sentence = 'A limited key sends messages and reads no history.';
    const quotes = selectQuotes('limited key', [passage(1, sentence), passage(2, `${sentence} And more of it.`)]);
    expect(quotes).toEqual([{ number: 1, markdown: sentence }]);
  });

  it('quotes the first passage when no word of the question matches', () => {
    expect(selectQuotes('zebra', passages)[0]).toEqual({
      number: 1,
      markdown: 'There are three kinds of credentials.',
    });
  });

  it('finds answers in scripts without spaces between words', () => {
    const quotes = selectQuotes('鍵の作り方', [passage(1, 'これは説明です。鍵の作り方は簡単です。終わり。')]);
    expect(quotes[0]?.markdown).toContain('鍵の作り方は簡単です。');
  });
});
