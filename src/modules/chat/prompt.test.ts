import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Agent } from '../../generated/prisma/client.ts';
import { NO_PASSAGES, parsePassages, withoutPassages } from '../../models/passages.ts';
import { estimateTokens } from '../../models/tokens.ts';
import type { NumberedHit } from './events.ts';
import { type PromptParts, packPrompt, type Utterance } from './prompt.ts';

const now = new Date('2026-01-02T03:04:05.678Z');

const agentWith = (fields: Partial<Agent> = {}): Agent => ({
  id: 0,
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
  const { system, messages } = packPrompt(
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
  const texts = messages.map(({ content }) => content as string);
  const last = texts.at(-1) ?? '';
  return {
    system,
    messages,
    last,
    history: texts.slice(0, -1),
    passages: parsePassages(last).map(({ number }) => number),
  };
};

const said = (...texts: string[]): Utterance[] =>
  texts.map((text, index) => ({ role: index % 2 === 0 ? 'user' : 'assistant', text }));

describe('the instructions', () => {
  it('are the server’s, then the agent’s, then the time', () => {
    const { system } = pack({ agent: agentWith({ systemPrompt: 'Speak like a pirate.', datetimeAware: true }) });
    expect(system).toMatch(
      /^You are a helpful assistant\.[\s\S]*\n\nSpeak like a pirate\.\n\nThe current date and time is 2026-01-02T03:04:05\.678Z\.$/,
    );
  });

  it('of the project follow the agent’s under a heading of their own, also where that replaces the server’s', () => {
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

  it('of the project take their room from passages and history, and are never cut', () => {
    const projectInstructions = 'a'.repeat(4000);
    const packed = pack({ projectInstructions, hits: [hit(1, 'b'.repeat(40))], contextWindow: 400 });
    expect(packed.system).toContain(projectInstructions);
    expect(packed.passages).toEqual([]);
  });

  it('are the agent’s alone where it replaces the server’s', () => {
    const agent = agentWith({ systemPrompt: 'Speak like a pirate.', replaceBaseSystemPrompt: true });
    expect(pack({ agent }).system).toBe('Speak like a pirate.');
    expect(pack({ agent: agentWith({ replaceBaseSystemPrompt: true }) }).system).toBe('');
  });
});

describe('the last message', () => {
  it('holds passages, context, question and task, in this order', () => {
    const { last } = pack({
      agent: agentWith({ taskPrompt: 'Be brief.' }),
      hits: [hit(1, 'Because.')],
      additionalContext: 'It rains.',
    });
    expect(parsePassages(last)).toEqual([{ number: 1, title: 'T', link: null, text: 'Because.' }]);
    expect(withoutPassages(last)).toBe('It rains.\n\nWhy?\n\nBe brief.');
    expect(last.indexOf('<passages>')).toBe(0);
  });

  it('says so when the search found nothing, and nothing when there was none', () => {
    expect(pack({ hits: [] }).last).toBe(`${NO_PASSAGES}\n\nWhy?`);
    expect(pack({ hits: null }).last).toBe('Why?');
  });
});

describe('in a small window', () => {
  const agent = agentWith({ replaceBaseSystemPrompt: true, systemPrompt: 's'.repeat(40) });
  /** 10 tokens of instructions, 10 of question; each passage 11, each utterance 10. A quarter is the answer's. */
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

  it('instructions and question go first, passages from the best, then history from the newest', () => {
    expect(fits(0)).toEqual({ passages: [], history: '' });
    expect(fits(20)).toEqual({ passages: [], history: '' });
    expect(fits(31)).toEqual({ passages: [1], history: '' });
    expect(fits(42)).toEqual({ passages: [1, 2], history: '' });
    expect(fits(52)).toEqual({ passages: [1, 2], history: '4' });
    expect(fits(62)).toEqual({ passages: [1, 2], history: '34' });
    expect(fits(82)).toEqual({ passages: [1, 2], history: '1234' });
  });

  it('a passage that does not fit leaves its place to the history', () => {
    expect(fits(41)).toEqual({ passages: [1], history: '4' });
    expect(fits(30)).toEqual({ passages: [], history: '4' });
  });

  it('the history has no gap: what is older than the first that does not fit is left out', () => {
    const history = said('old', 'x'.repeat(4000), 'new');
    expect(pack({ ...parts, hits: null, history, contextWindow: 100 }).history).toEqual(['new']);
  });
});

it('packs anything into any window without failing, and never more than its share beyond what must be there', () => {
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
        contextWindow: fc.integer({ min: 0, max: 2000 }),
        systemPrompt: fc.string({ maxLength: 100 }),
        taskPrompt: fc.string({ maxLength: 100 }),
      }),
      ({ texts, systemPrompt, taskPrompt, ...parts }) => {
        const agent = agentWith({ systemPrompt, taskPrompt });
        const hits = texts?.map((text, index) => hit(index + 1, text)) ?? null;
        const { system, messages, history, last, passages } = pack({ ...parts, agent, hits });
        expect(messages.at(-1)?.role).toBe('user');
        expect(system).toContain(systemPrompt);
        const must = [parts.additionalContext, parts.question, taskPrompt].filter(Boolean).join('\n\n');
        expect(last.endsWith(must)).toBe(true);
        // Passages from the front, history from the back, both without a gap.
        expect(passages).toEqual(passages.map((_, index) => index + 1));
        expect(history).toEqual(parts.history.slice(parts.history.length - history.length).map(({ text }) => text));
        const optional = [...passages.map((number) => texts?.[number - 1] ?? ''), ...history];
        const used = [system, must, ...optional].reduce((sum, text) => sum + estimateTokens(text), 0);
        if (optional.length > 0) expect(used).toBeLessThanOrEqual(parts.contextWindow * 0.75);
      },
    ),
    { numRuns: 500 },
  );
});
