import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CitationStream, type CitedPart, numberHits, withoutCitations } from './citations.ts';

const documents = [
  { number: 1, documentId: 'guide', link: 'https://docs.test/guide' },
  { number: 2, documentId: 'faq', link: null },
  { number: 12, documentId: 'notes', link: 'https://docs.test/a (b)\\' },
];

function run(deltas: string[], { include = true, hits = documents } = {}): CitedPart[] {
  const stream = new CitationStream(hits, include);
  return [...deltas.flatMap((delta) => stream.push(delta)), ...stream.end()];
}

const textOf = (parts: CitedPart[]) => parts.map((part) => (part.type === 'text' ? part.text : '')).join('');
const cite = (text: string) => textOf(run([text]));
const drop = (text: string) => textOf(run([text], { include: false }));

/** Joins adjacent texts: only the position of citations matters, not how texts were split. */
function joined(parts: CitedPart[]): (string | number)[] {
  const all: (string | number)[] = [];
  for (const part of parts) {
    if (part.type === 'citation') all.push(part.number);
    else if (typeof all.at(-1) === 'string') all.push(`${all.pop()}${part.text}`);
    else all.push(part.text);
  }
  return all;
}

describe('citation markers', () => {
  it.each([
    ['a [1].', 'a [[1]](https://docs.test/guide).'],
    ['a [[1]].', 'a [[1]](https://docs.test/guide).'],
    ['[1][2]', '[[1]](https://docs.test/guide)[[2]]()'],
    ['[1, 2]', '[[1]](https://docs.test/guide)[[2]]()'],
    ['[1,\n2]', '[[1]](https://docs.test/guide)[[2]]()'],
    ['[12]', '[[12]](https://docs.test/a%20%28b%29%5C)'],
    ['[see [1]]', '[see [[1]](https://docs.test/guide)]'],
  ])('changes %j to %j', (text, expected) => expect(cite(text)).toBe(expected));

  it.each([
    ...['[3]', '[1, 3]', '[0]', '[]', '[ 1]', '[1', '[1 2]', '[a1]', '[12345]', '\\[1]', 'a\\[1\\]'],
    ...[`[1,${' '.repeat(60)}2]`, `[${Array(30).fill('1').join(', ')}]`],
  ])('keeps %j because it refers to no passage', (text) => expect(cite(text)).toBe(text));

  it.each([
    ['[[1]', '[[[1]](https://docs.test/guide)'],
    ['\\[[1]]', '\\[[[1]](https://docs.test/guide)]'],
    ['\\\\[1]', '\\\\[[1]](https://docs.test/guide)'],
    ['[1](https://evil.test/(x))', '[[1]](https://docs.test/guide)(https://evil.test/(x))'],
  ])('replaces only the marker in %j', (text, expected) => expect(cite(text)).toBe(expected));

  it('take each link from the documents, never from the model', () => {
    expect(cite('[1](https://evil.test) [[2]](https://evil.test) [12]()')).toBe(
      '[[1]](https://docs.test/guide) [[2]]() [[12]](https://docs.test/a%20%28b%29%5C)',
    );
  });

  it('emit one citation event per document before the text that cites it', () => {
    expect(joined(run(['x [1] y [2] z [1, 2]']))).toEqual([
      'x ',
      1,
      '[[1]](https://docs.test/guide) y ',
      2,
      '[[2]]() z [[1]](https://docs.test/guide)[[2]]()',
    ]);
    expect(run(['[1]'])[0]).toEqual({ type: 'citation', number: 1, documentId: 'guide' });
  });

  it('use the link of the best passage when passages of a document have different links', () => {
    const hits = numberHits([
      { documentId: 'a', link: 'https://docs.test/a#best' },
      { documentId: 'b', link: 'https://docs.test/b' },
      { documentId: 'a', link: 'https://docs.test/a#second' },
    ]);
    expect(hits.map(({ number }) => number)).toEqual([1, 2, 1]);
    expect(textOf(run(['[1] [2]'], { hits }))).toBe('[[1]](https://docs.test/a#best) [[2]](https://docs.test/b)');
  });
});

describe('citation markers in code', () => {
  it.each([
    'a `list[1]` b',
    '``list[1] ` [2]`` b',
    '```ts\nlist[1]\n\nlist[2]\n```\n',
    '````\n```\n[1]\n````\n',
    '~~~\nlist[1]\n~~~\n',
    '```\nnever closed [1]',
  ])('keeps %j unchanged', (text) => expect(cite(text)).toBe(text));

  it.each([
    ['`a` [2]', '`a` [[2]]()'],
    ['```\n[1]\n```\n[2]', '```\n[1]\n```\n[[2]]()'],
    ['~~~\n```\n~~~\n[2]', '~~~\n```\n~~~\n[[2]]()'],
    ['a lonely ` here [1]\n\n[2]', 'a lonely ` here [1]\n\n[[2]]()'],
    ['an escaped \\` [2]', 'an escaped \\` [[2]]()'],
    ['a ~~ b [2]', 'a ~~ b [[2]]()'],
  ])('finds the end of the code in %j and returns %j', (text, expected) => expect(cite(text)).toBe(expected));
});

describe('citations that are turned off', () => {
  it.each([
    ['It is so [1].', 'It is so.'],
    ['It is so[1] [[2]](x), `a [1]` and [3].', 'It is so, `a [1]` and [3].'],
    ['a  [1] b', 'a  b'],
    ['[1, 2]', ''],
  ])('changes %j to %j', (text, expected) => expect(drop(text)).toBe(expected));

  it('emit no citation event', () => {
    expect(run(['[1] [2]'], { include: false }).filter(({ type }) => type === 'citation')).toEqual([]);
  });

  it('are removed from a stored answer without changing other markers', () => {
    const answer = cite('So [1], and [12]. `Not [[1]](x)`, nor [4].');
    expect(withoutCitations(answer, documents)).toBe('So, and. `Not [[1]](x)`, nor [4].');
    expect(withoutCitations('[[1]](x)', [])).toBe('[[1]](x)');
  });
});

describe('an answer streamed in arbitrary chunks', () => {
  const piece = fc.constantFrom(
    ...[
      '[',
      ']',
      '[[',
      ']]',
      '(',
      ')',
      '1',
      '2',
      '3',
      ',',
      ' ',
      '\n',
      '\n\n',
      '`',
      '``',
      '```',
      '~~~',
      '~',
      '\\',
      'a',
      '😀',
    ],
    ...[
      '[1]',
      '[[2]]',
      '[1, 2]',
      '[12](https://x.test)',
      ' [3]',
      '[[1]](y)',
      '1'.repeat(20),
      ' '.repeat(20),
      `(${'x'.repeat(1999)}`,
    ],
  );
  const text = fc.array(piece, { maxLength: 25 }).map((pieces) => pieces.join(''));
  const cut = fc.tuple(text, fc.array(fc.nat(), { maxLength: 12 })).map(([whole, places]) => {
    const at = [0, ...places.map((place) => place % (whole.length + 1)).sort((a, b) => a - b), whole.length];
    return { whole, deltas: at.slice(1).map((end, index) => whole.slice(at[index], end)) };
  });

  it.each([true, false])('gives the same result as the whole answer (citations: %s)', (include) => {
    fc.assert(
      fc.property(cut, ({ whole, deltas }) => {
        const once = joined(run([whole], { include }));
        expect(joined(run(deltas, { include }))).toEqual(once);
        expect(joined(run([...whole], { include }))).toEqual(once);
      }),
      { numRuns: 3000 },
    );
  });

  it('is processed in linear time for long hostile text', () => {
    const long = (text: string) => text.repeat(400_000 / text.length);
    for (const text of [
      '`x',
      '[[',
      '[1](',
      '~',
      '`',
      '``x',
      '[1',
      '\\',
      ' [',
      '[1]((',
      '``` [1]',
      '\n\n`',
      '[1]('.padEnd(1999, 'x'),
    ].map(long))
      for (const include of [true, false]) expect(textOf(run([text], { hits: [], include }))).toBe(text);
  });

  it('is unchanged when there are no documents to cite', () => {
    fc.assert(
      fc.property(cut, ({ whole, deltas }) => {
        expect(textOf(run(deltas, { hits: [] }))).toBe(whole);
        expect(textOf(run(deltas, { hits: [], include: false }))).toBe(whole);
      }),
      { numRuns: 1000 },
    );
  });
});
