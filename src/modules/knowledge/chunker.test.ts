import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { estimateTokens } from '../../ai/tokens.ts';
import { chunkSections } from './chunker.ts';

const budget = 220;
const cap = 440;

const one = (text: string, title = 'Guide') => chunkSections([{ text }], title);
const words = (count: number) => Array.from({ length: count }, (_, index) => `word${index}`).join(' ');
const sentences = (count: number) =>
  Array.from({ length: count }, (_, i) => `Sentence number ${i} says a little.`).join(' ');

// Building blocks of documents that cover every rule, and every pair of rules that could conflict.
const anyText = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '# One\n',
        '## Two\n',
        '### Two\n',
        'Title\n===\n',
        '#\n',
        '\n',
        '\n\n',
        '\r\n',
        ' ',
        '   ',
        '\u3000',
        '\ufeff',
      ),
      fc.constantFrom(
        '```\n',
        '~~~ts\n',
        '| a | b |\n',
        '- item\n',
        '1. step\n',
        '。',
        '，',
        '. ',
        '! "',
        '…',
        '😀',
        '👩‍👩‍👧',
        '\ud83d',
      ),
      fc.integer({ min: 1, max: 400 }).map(words),
      fc
        .tuple(
          fc.constantFrom('x', '漢字', '😀', '\n', '.', '`', '#', '| x |\n', '# a\n'),
          fc.integer({ min: 1, max: 1200 }),
        )
        .map(([piece, count]) => piece.repeat(count)),
      fc.string({ unit: 'binary', maxLength: 20 }),
    ),
    { maxLength: 20 },
  )
  .map((pieces) => pieces.join(''));
const sections = fc.array(fc.record({ text: anyText, link: fc.option(fc.constant('/guide')) }), { maxLength: 3 });

describe('a chunked document', () => {
  it('is split into passages in order, with correct offsets and within the maximum size', () => {
    fc.assert(
      fc.property(sections, (document) => {
        const chunks = chunkSections(document, 'Title');
        expect(chunks.map(({ position }) => position)).toEqual(chunks.map((_, index) => index));
        for (const chunk of chunks) {
          const section = document[chunk.section];
          expect(chunk.text).toBe(section?.text.slice(chunk.start, chunk.end));
          expect(chunk.link).toBe(section?.link ?? null);
          expect(chunk.text.trim()).not.toBe('');
          expect(estimateTokens(chunk.text)).toBeLessThanOrEqual(cap);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('loses no text except whitespace, and never splits a surrogate pair', () => {
    fc.assert(
      fc.property(sections, (document) => {
        const chunks = chunkSections(document, 'Title');
        document.forEach(({ text }, section) => {
          const mine = chunks.filter((chunk) => chunk.section === section);
          let reached = 0;
          for (const { start, end } of mine) {
            expect(text.slice(reached, Math.max(reached, start)).trim()).toBe('');
            expect(end).toBeGreaterThan(reached);
            reached = end;
            for (const edge of [start, end])
              expect(text.slice(edge - 1, edge + 1)).not.toMatch(/^[\uD800-\uDBFF][\uDC00-\uDFFF]$/);
          }
          expect(text.slice(reached).trim()).toBe('');
        });
      }),
      { numRuns: 500 },
    );
  });

  it.each(['a', '漢', '😀', ' ', '\n', '.', '`', '#', '|', '\ud83d', '# a\n', 'a\n\n', '```\n', '- ', '! ', '\u3000'])(
    'has a bounded number of passages for a megabyte of %j',
    (piece) => {
      const text = piece.repeat(1_000_000 / piece.length);
      const chunks = one(text);
      expect(chunks.length).toBeLessThan(30_000);
      expect(chunks.every((chunk) => estimateTokens(chunk.text) <= cap)).toBe(true);
    },
  );
});

describe('headings in a chunked document', () => {
  it('start new passages, and are recorded as a path of headings', () => {
    const body = sentences(12);
    const chunks = one(
      `# Keys\n\n${body}\n\n## Limited keys\n\n${body}\n\n### Scopes ###\n\n${body}\n\n## \`Expiry\` of [keys](/k)\n\n${body}`,
    );
    expect(chunks.map(({ heading }) => heading)).toEqual([
      'Guide › Keys',
      'Guide › Keys › Limited keys',
      'Guide › Keys › Limited keys › Scopes',
      'Guide › Keys › Expiry of keys',
    ]);
    expect(chunks[1]?.text).toMatch(/^## Limited keys\n/);
  });

  it('do not repeat the title of the document', () => {
    expect(one('# guide\n\nText.')[0]?.heading).toBe('Guide');
    // Full-width letters and a soft hyphen.
    expect(one('# Ｇｕｉ\u00adｄｅ\n\nText.')[0]?.heading).toBe('Guide');
    expect(one('No heading at all.')[0]?.heading).toBe('Guide');
  });

  it('are recognized when they are underlined, and are not recognized in code', () => {
    const [chunk] = one('Keys\n====\n\nText.\n\n```sh\n# not a heading\n```');
    expect(chunk?.heading).toBe('Guide › Keys');
    expect(chunk?.text).toContain('# not a heading');
  });

  it('stay with the text that follows, even when that text fills a passage', () => {
    const [chunk] = one(`## Limits\n\n${'x'.repeat(875)}`);
    expect(chunk?.text.length).toBe(886);
  });

  it('without text are merged with the section below them', () => {
    const chunks = one(`# Keys\n\n## Limited\n\n${sentences(12)}`);
    expect(chunks).toHaveLength(1);
    expect(chunks[0]).toMatchObject({ heading: 'Guide › Keys › Limited', start: 0 });
  });

  it('of short neighboring sections share one passage under their common parent heading', () => {
    const chunks = one('# Terms\n\n## Key\n\nA secret.\n\n## Scope\n\nA right.\n\n## Role\n\nA set of rights.');
    expect(chunks).toHaveLength(1);
    expect(chunks[0]?.heading).toBe('Guide › Terms');
  });

  it('keep separate passages when each section is long enough', () => {
    const answer =
      'Send the mutation createApiKey with the role LIMITED and keep the secret that it returns, since it is shown once.';
    const chunks = one(`## How do I create a key?\n\n${answer}\n\n## How do I delete a key?\n\n${answer}`);
    expect(chunks.map(({ heading }) => heading)).toEqual([
      'Guide › How do I create a key?',
      'Guide › How do I delete a key?',
    ]);
  });
});

describe('long texts in a chunked document', () => {
  it('are split between sentences, and the last sentences are repeated in the next passage', () => {
    const chunks = one(sentences(100));
    expect(chunks.length).toBeGreaterThan(3);
    chunks.forEach((chunk, index) => {
      expect(estimateTokens(chunk.text)).toBeLessThanOrEqual(budget + 40);
      expect(chunk.text).toMatch(/^Sentence number .* a little\.$/s);
      const next = chunks[index + 1];
      if (!next) return;
      expect(next.start).toBeLessThan(chunk.end);
      expect(chunk.end - next.start).toBeLessThanOrEqual(40 * 4);
    });
  });

  it('are split between paragraphs when each paragraph fits into a passage', () => {
    const paragraph = sentences(15);
    const chunks = one([paragraph, paragraph, paragraph].join('\n\n'));
    expect(chunks.map(({ text }) => text.endsWith('14 says a little.'))).toEqual([true, true, true]);
  });

  it('are split between words when they contain no sentences', () => {
    for (const { text } of one(words(1000))) expect(text).toMatch(/^word\d+( word\d+)*$/);
  });

  it('are split even when no spaces separate the words', () => {
    const chunks = one('これは長い文書の一文です。'.repeat(300));
    expect(chunks.length).toBeGreaterThan(3);
    for (const { text } of chunks) expect(text).toMatch(/^これは.*。$/s);
    expect(one('漢'.repeat(3000)).length).toBeGreaterThan(3);
  });
});

describe('code blocks and tables in a chunked document', () => {
  const code = `\`\`\`sh\n${Array.from({ length: 20 }, (_, i) => `curl -H "Authorization: Bearer $KEY" /api/${i}`).join('\n')}\n\`\`\``;
  const table = [
    '| setting | meaning |',
    '|---|---|',
    ...Array.from({ length: 25 }, (_, i) => `| SETTING_${i} | does ${i} |`),
  ].join('\n');

  // Longer than an overlap, so that it is repeated as a whole or not at all.
  const introduction = `This is how to see all of it, ${'step by step, '.repeat(12)}in one go:`;

  it.each([code, table])('stay whole, together with the paragraph that introduces them', (block) => {
    const chunks = one(`${sentences(20)}\n\n${introduction}\n\n${block}\n\n${sentences(20)}`);
    const holder = chunks.filter(({ text }) => text.includes(block));
    expect(holder).toHaveLength(1);
    expect(holder[0]?.text).toContain(introduction);
  });

  it('are split between lines when they exceed the maximum size', () => {
    const chunks = one(
      `\`\`\`\n${Array.from({ length: 200 }, (_, i) => `line ${i} of a long program`).join('\n')}\n\`\`\``,
    );
    expect(chunks.length).toBeGreaterThan(3);
    for (const { text } of chunks)
      for (const line of text.split('\n')) expect(line).toMatch(/^(```|line \d+ of a long program)$/);
  });
});

it('returns no passages for blank text', () => {
  expect(chunkSections([{ text: '' }, { text: ' \n\u3000\n' }], 'Guide')).toEqual([]);
});
