import { describe, expect, it } from 'vitest';
import { chunkSections } from '../knowledge/chunker.ts';
import { joinChunks } from './pinned.ts';

const sentence = (n: number) => `Sentence number ${n} says something of its own about item ${n * 7}.`;
const prose = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => sentence(from + index)).join(' ');
const words = (text: string) => text.split(/\s+/).filter(Boolean);

describe('joining the passages of a document', () => {
  it.each([
    ['of one passage', [prose(0, 3)]],
    ['of one paragraph that is cut with overlaps', [prose(0, 120)]],
    [
      'of headings, lists and code',
      [`# One\n\n${prose(0, 40)}\n\n- a\n- b\n\n\`\`\`\n${prose(40, 60)}\n\`\`\`\n\n## Two\n\n${prose(60, 90)}`],
    ],
    ['of lines without sentences', [Array.from({ length: 300 }, (_, index) => `key${index}=value${index}`).join('\n')]],
    ['of characters without spaces', ['東京は日本の首都です。'.repeat(400)]],
    ['of several sections', [prose(0, 60), prose(60, 61), prose(61, 120)]],
  ])('%s returns all words once and in their original order', (_name, texts) => {
    const chunks = chunkSections(
      texts.map((text) => ({ text })),
      'Title',
    );
    expect(words(joinChunks(chunks))).toEqual(words(texts.join('\n\n')));
  });

  it('returns an empty text for a document without passages', () => {
    expect(joinChunks([])).toBe('');
  });

  it('keeps line breaks where white space separated two passages', () => {
    const chunk = (text: string, start: number, section = 0) => ({ section, start, end: start + text.length, text });
    expect(joinChunks([chunk('one', 0), chunk('two', 4), chunk('three', 12), chunk('four', 0, 1)])).toBe(
      'one\ntwo\n\nthree\n\nfour',
    );
  });
});
