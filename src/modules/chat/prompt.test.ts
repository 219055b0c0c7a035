import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NO_PASSAGES, parsePassages, withoutPassages } from '../../ai/passages.ts';
import { estimateTokens, imageTokens } from '../../ai/tokens.ts';
import type { Agent } from '../../generated/prisma/client.ts';
import type { NumberedHit } from './events.ts';
import { type FileSource, type Image, type PromptParts, packPrompt, type Utterance } from './prompt.ts';

const now = new Date('2026-01-02T03:04:05.678Z');

const agentWith = (fields: Partial<Agent> = {}): Agent => ({
  id: 0,
  slug: 'test',
  name: 'Test',
  description: '',
  systemPrompt: '',
  taskPrompt: '',
  replaceBaseSystemPrompt: false,
  datetimeAware: false,
  isPublic: true,
  isListed: true,
  isFeatured: false,
  isBuiltin: true,
  displayPriority: null,
  iconName: null,
  knowledge: 'ALL',
  passageLimit: 8,
  searchStartDate: null,
  model: null,
  temperature: null,
  historyLimit: null,
  similarityThreshold: 0,
  chatMode: 'AUTOMATIC',
  refusalText: null,
  ownerId: null,
  deletedAt: null,
  createdAt: now,
  updatedAt: now,
  ...fields,
});

const hit = (number: number, text: string): NumberedHit => ({
  number,
  documentId: `doc-${number}`,
  chunkId: number,
  position: 0,
  title: 'T',
  heading: '',
  link: null,
  text,
  source: 'file',
  metadata: {},
  score: 1,
  updatedAt: null,
  highlights: [],
});

const pack = (parts: Partial<PromptParts>) => {
  const { system, messages, tokens } = packPrompt(
    {
      agent: agentWith(),
      projectInstructions: null,
      history: [],
      question: 'Why?',
      hits: null,
      additionalContext: null,
      contextWindow: 32_768,
      ...parts,
    },
    now,
  );
  const contents = messages.map(({ content }) =>
    (typeof content === 'string' ? [{ type: 'text' as const, text: content }] : content).map((part) =>
      part.type === 'text' ? { text: part.text } : { image: Buffer.from((part as { image: Uint8Array }).image)[0] },
    ),
  );
  const texts = contents.map((content) => content.map((part) => ('text' in part ? part.text : '')).join(''));
  const last = texts.at(-1) ?? '';
  return {
    system,
    messages,
    tokens,
    last,
    history: texts.slice(0, -1),
    sources: parsePassages(last),
    passages: parsePassages(last).map(({ number }) => number),
    /** Identified by their first byte. */
    images: (contents.at(-1) ?? []).flatMap((part) => ('image' in part ? (part.image ?? []) : [])),
  };
};

const said = (...texts: string[]): Utterance[] =>
  texts.map((text, index) => ({ role: index % 2 === 0 ? 'user' : 'assistant', text }));

describe('the system instructions', () => {
  it('contain those of the server, then those of the agent, then the time', () => {
    const { system } = pack({ agent: agentWith({ systemPrompt: 'Speak like a pirate.', datetimeAware: true }) });
    expect(system).toMatch(
      /^You are a helpful assistant\.[\s\S]*\n\nSpeak like a pirate\.\n\nThe current date and time is 2026-01-02T03:04:05\.678Z\.$/,
    );
  });

  it('add those of the project under a separate heading, even when the agent replaces the server’s', () => {
    const agent = agentWith({ systemPrompt: 'Speak like a pirate.', datetimeAware: true });
    const projectInstructions = 'Write in French.';
    expect(pack({ agent, projectInstructions }).system).toMatch(
      /^You are[\s\S]*\n\nSpeak like a pirate\.\n\n# Instructions of the project\n\nWrite in French\.\n\nThe current date/,
    );
    const alone = agentWith({ systemPrompt: 'Speak like a pirate.', replaceBaseSystemPrompt: true });
    expect(pack({ agent: alone, projectInstructions }).system).toBe(
      'Speak like a pirate.\n\n# Instructions of the project\n\nWrite in French.',
    );
    expect(pack({ agent: alone, projectInstructions: '' }).system).toBe('Speak like a pirate.');
  });

  it('contain the complete instructions of the project, which reduces the room for passages and history', () => {
    const projectInstructions = 'a'.repeat(4000);
    const packed = pack({ projectInstructions, hits: [hit(1, 'b'.repeat(40))], contextWindow: 400 });
    expect(packed.system).toContain(projectInstructions);
    expect(packed.passages).toEqual([]);
  });

  it('contain only those of the agent when the agent replaces the server’s', () => {
    const agent = agentWith({ systemPrompt: 'Speak like a pirate.', replaceBaseSystemPrompt: true });
    expect(pack({ agent }).system).toBe('Speak like a pirate.');
    expect(pack({ agent: agentWith({ replaceBaseSystemPrompt: true }) }).system).toBe('');
  });
});

describe('the last message', () => {
  it('contains passages, context, question and task, in this order', () => {
    const { last } = pack({
      agent: agentWith({ taskPrompt: 'Be brief.' }),
      hits: [hit(1, 'Because.')],
      additionalContext: 'It rains.',
    });
    expect(parsePassages(last)).toEqual([{ number: 1, title: 'T', link: null, text: 'Because.' }]);
    expect(withoutPassages(last)).toBe('It rains.\n\nWhy?\n\nBe brief.');
    expect(last.indexOf('<passages>')).toBe(0);
  });

  it('states that a search found no passages, and states no result when there was no search', () => {
    expect(pack({ hits: [] }).last).toBe(`${NO_PASSAGES}\n\nWhy?`);
    expect(pack({ hits: null }).last).toBe('Why?');
  });
});

describe('a small context window', () => {
  const agent = agentWith({ replaceBaseSystemPrompt: true, systemPrompt: 's'.repeat(40) });
  /**
   * 10 tokens of instructions, 10 of question, 11 per passage, 10 per message. A quarter is reserved for the answer.
   */
  const parts = {
    agent,
    question: 'q'.repeat(40),
    hits: [hit(1, 'a'.repeat(40)), hit(2, 'b'.repeat(40))],
    history: said(...['1', '2', '3', '4'].map((text) => text.repeat(40))),
  };
  const fits = (tokens: number) => {
    const { passages, history, last, system } = pack({ ...parts, contextWindow: Math.ceil(tokens / 0.75) });
    expect(system).toBe(parts.agent.systemPrompt);
    expect(withoutPassages(last)).toBe(parts.question);
    return { passages, history: history.map((text) => text[0]).join('') };
  };

  it('gets instructions and question first, then the best passages, then the newest history', () => {
    expect(fits(0)).toEqual({ passages: [], history: '' });
    expect(fits(20)).toEqual({ passages: [], history: '' });
    expect(fits(31)).toEqual({ passages: [1], history: '' });
    expect(fits(42)).toEqual({ passages: [1, 2], history: '' });
    expect(fits(52)).toEqual({ passages: [1, 2], history: '4' });
    expect(fits(62)).toEqual({ passages: [1, 2], history: '34' });
    expect(fits(82)).toEqual({ passages: [1, 2], history: '1234' });
  });

  it('gets history in place of a passage that does not fit', () => {
    expect(fits(41)).toEqual({ passages: [1], history: '4' });
    expect(fits(30)).toEqual({ passages: [], history: '4' });
  });

  it('gets history without gaps: all messages before the first that does not fit are omitted', () => {
    const history = said('old', 'x'.repeat(4000), 'new');
    expect(pack({ ...parts, hits: null, history, contextWindow: 100 }).history).toEqual(['new']);
  });
});

const file = (number: number, text: string): FileSource => ({ number, title: 'T', link: null, text });
const image = (mark: number): Image => ({ name: 'x.png', mediaType: 'image/png', bytes: Uint8Array.of(mark) });
const cutMark = '\n[The rest of this file does not fit.]';

describe('files and images in the prompt', () => {
  const bare = agentWith({ replaceBaseSystemPrompt: true });
  /** A context window with this many tokens besides a question of one token. */
  const into = (tokens: number, parts: Partial<PromptParts>) =>
    pack({ agent: bare, ...parts, contextWindow: Math.ceil((tokens + 1) / 0.75) });

  it('come before the search results when attached to the question, and after them when attached earlier', () => {
    const { sources, images, last } = pack({
      files: [file(1, 'of the question')],
      earlierFiles: [file(2, 'newer'), file(3, 'older')],
      images: [image(1), image(2)],
      earlierImages: [image(3)],
      hits: [hit(4, 'found')],
    });
    expect(sources.map(({ text }) => text)).toEqual(['of the question', 'found', 'newer', 'older']);
    expect(images).toEqual([1, 2, 3]);
    expect(withoutPassages(last)).toBe('Why?');
  });

  it('include images after the text as image parts', () => {
    const { messages } = pack({ images: [image(7)] });
    expect(messages).toEqual([
      {
        role: 'user',
        content: [
          { type: 'text', text: 'Why?' },
          { type: 'image', image: Uint8Array.of(7), mediaType: 'image/png' },
        ],
      },
    ]);
  });

  it('have their notes between the context and the question', () => {
    const { last } = pack({
      agent: agentWith({ taskPrompt: 'Be brief.' }),
      additionalContext: 'It rains.',
      notes: ['[One.]', '[Two.]'],
    });
    expect(last).toBe('It rains.\n\n[One.]\n\n[Two.]\n\nWhy?\n\nBe brief.');
  });

  it('are included in this order: images, files, passages, history, then earlier images and files', () => {
    const all: Partial<PromptParts> = {
      images: [image(1)],
      files: [file(1, 'f'.repeat(396))],
      hits: [hit(2, 'h'.repeat(396))],
      history: said('a'.repeat(400)),
      earlierImages: [image(2)],
      earlierFiles: [file(3, 'e'.repeat(396))],
    };
    const steps = [imageTokens, 100, 100, 100, imageTokens, 100];
    const room = (count: number) => steps.slice(0, count).reduce((sum, tokens) => sum + tokens, 0);
    const at = (tokens: number) => {
      const { images, sources, history } = into(tokens, all);
      return [
        ...images.map((mark) => `image ${mark}`),
        ...sources.map(({ text }) => text[0]),
        ...history.map(([c]) => c),
      ];
    };
    expect(at(room(0))).toEqual([]);
    expect(at(room(1))).toEqual(['image 1']);
    expect(at(room(2))).toEqual(['image 1', 'f']);
    expect(at(room(3))).toEqual(['image 1', 'f', 'h']);
    expect(at(room(4))).toEqual(['image 1', 'f', 'h', 'a']);
    expect(at(room(5))).toEqual(['image 1', 'image 2', 'f', 'h', 'a']);
    expect(at(room(6))).toEqual(['image 1', 'image 2', 'f', 'h', 'e', 'a']);
    // When an image does not fit, a smaller one can.
    expect(at(300)).toEqual(['f', 'h', 'a']);
  });

  it('share the room equally when they do not fit together, and short files leave room for long ones', () => {
    const files = [file(1, 'a'.repeat(40_000)), file(2, 'short'), file(3, 'c'.repeat(40_000))];
    const { sources, tokens } = into(1003, { files });
    expect(sources.map(({ number }) => number)).toEqual([1, 2, 3]);
    const [long, short, other] = sources.map(({ text }) => text);
    expect(short).toBe('short');
    for (const text of [long, other]) expect(text?.endsWith(cutMark)).toBe(true);
    expect(Math.abs((long?.length ?? 0) - (other?.length ?? 0))).toBeLessThanOrEqual(4);
    expect(long?.length).toBeGreaterThan(1900);
    expect(tokens).toBeLessThanOrEqual(1004);
  });

  it('are omitted when less than the minimum excerpt would fit', () => {
    const files = [file(1, 'a'.repeat(4000))];
    expect(into(60, { files }).sources).toEqual([]);
    expect(into(61, { files }).sources).toEqual([{ ...file(1, `${'a'.repeat(200)}${cutMark}`) }]);
  });

  it('cut the last earlier file that fits and omit those before it', () => {
    const earlierFiles = [file(1, 'a'.repeat(396)), file(2, 'b'.repeat(4000)), file(3, 'c')];
    const { sources } = into(300, { earlierFiles });
    expect(sources.map(({ number }) => number)).toEqual([1, 2]);
    expect(sources[1]?.text.endsWith(cutMark)).toBe(true);
  });

  it('are never cut within a character', () => {
    for (const shift of ['', 'x', 'xx', 'xxx']) {
      const { sources } = into(200, { files: [file(1, shift + '😀'.repeat(4000))] });
      expect(sources[0]?.text.isWellFormed()).toBe(true);
    }
  });
});

it('a conversation of 500 long messages loses its beginning and fits every context window', () => {
  const history = Array.from(
    { length: 500 },
    (_, at): Utterance => ({
      role: at % 2 === 0 ? 'user' : 'assistant',
      text: `${at} ${'word '.repeat(1000)}`,
    }),
  );
  for (const contextWindow of [2048, 32_768, 200_000]) {
    const packed = pack({ history, files: [file(1, 'kept')], hits: [hit(2, 'kept')], contextWindow });
    expect(packed.passages).toEqual([1, 2]);
    expect(packed.history).toEqual(history.slice(500 - packed.history.length).map(({ text }) => text));
    expect(packed.tokens).toBeLessThanOrEqual(contextWindow * 0.75);
    const next = history.at(-1 - packed.history.length)?.text ?? '';
    expect(packed.tokens + estimateTokens(next)).toBeGreaterThan(contextWindow * 0.75 - 1);
  }
});

it('packs any input into any context window without failing, and exceeds its share only for required parts', () => {
  const utterance = fc.record({
    role: fc.constantFrom('user' as const, 'assistant' as const),
    text: fc.string({ maxLength: 400 }),
  });
  fc.assert(
    fc.property(
      fc.record({
        question: fc.string({ maxLength: 400 }),
        additionalContext: fc.option(fc.string({ maxLength: 400 })),
        history: fc.array(utterance, { maxLength: 12 }),
        texts: fc.option(fc.array(fc.string({ maxLength: 400 }), { maxLength: 8 })),
        contextWindow: fc.integer({ min: 0, max: 8000 }),
        systemPrompt: fc.string({ maxLength: 100 }),
        taskPrompt: fc.string({ maxLength: 100 }),
        own: fc.array(fc.string({ maxLength: 2000, unit: 'binary' }), { maxLength: 4 }),
        earlier: fc.array(fc.string({ maxLength: 2000 }), { maxLength: 4 }),
        notes: fc.array(fc.string({ maxLength: 60, minLength: 1 }), { maxLength: 3 }),
        shown: fc.nat({ max: 4 }),
        shownBefore: fc.nat({ max: 4 }),
      }),
      ({ texts, systemPrompt, taskPrompt, own, earlier, shown, shownBefore, ...parts }) => {
        const agent = agentWith({ systemPrompt, taskPrompt });
        const files = own.map((text, index) => file(index + 1, text));
        const earlierFiles = earlier.map((text, index) => file(own.length + index + 1, text));
        const first = own.length + earlier.length;
        const hits = texts?.map((text, index) => hit(first + index + 1, text)) ?? null;
        const images = Array.from({ length: shown }, (_, at) => image(at + 1));
        const earlierImages = Array.from({ length: shownBefore }, (_, at) => image(shown + at + 1));
        const packed = pack({ ...parts, agent, hits, files, earlierFiles, images, earlierImages });
        const { system, messages, history, last, sources, tokens } = packed;
        expect(messages.at(-1)?.role).toBe('user');
        expect(system).toContain(systemPrompt);
        const must = [parts.additionalContext, ...parts.notes, parts.question, taskPrompt].filter(Boolean).join('\n\n');
        expect(last.endsWith(must)).toBe(true);
        // Images, passages and earlier files are kept from the start, history from the end, all without gaps.
        const numbers = sources.map(({ number }) => number);
        const found = numbers.filter((number) => number > first);
        expect(found).toEqual(found.map((_, index) => first + index + 1));
        const before = numbers.filter((number) => number > own.length && number <= first);
        expect(before).toEqual(before.map((_, index) => own.length + index + 1));
        expect(packed.images).toEqual(packed.images.map((_, index) => index + 1));
        expect(history).toEqual(parts.history.slice(parts.history.length - history.length).map(({ text }) => text));
        // Every source is a file or a passage, in full or cut with the marker.
        const given = [...own, ...earlier, ...(texts ?? [])];
        for (const { number, text } of sources) {
          const whole = given[number - 1] ?? '';
          if (text !== whole) expect(text.endsWith(cutMark)).toBe(true);
        }
        const optional = [...sources.map(({ text }) => text), ...history];
        const used =
          [system, must, ...optional].reduce((sum, text) => sum + estimateTokens(text), 0) +
          packed.images.length * imageTokens;
        if (optional.length + packed.images.length > 0) {
          expect(used).toBeLessThanOrEqual(parts.contextWindow * 0.75);
          expect(tokens).toBeLessThanOrEqual(parts.contextWindow * 0.75);
        }
      },
    ),
    { numRuns: 500 },
  );
});
