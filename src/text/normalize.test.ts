import { describe, expect, it } from 'vitest';
import { comparable, searchForm } from './normalize.ts';

describe('the comparison form of a text', () => {
  it.each([
    ['a ligature', '\ufb01nance', 'finance'],
    ['a decomposed umlaut', 'u\u0308ber', 'über'],
    ['full-width letters', '\uff35\uff33\uff22', 'USB'],
    ['a soft hyphen', 'knowl\u00adedge', 'knowledge'],
    ['zero-width characters', 'know\u200bl\u2060edge\ufeff', 'knowledge'],
  ])('is the plain spelling of %s', (_what, written, plain) => {
    expect(searchForm(written)).toBe(plain);
    expect(comparable(written)).toBe(plain.toLowerCase());
  });

  it('is idempotent', () => {
    for (const text of ['\u0130stanbul', '\u1e9e', '\ufdfa', 'A\u00ad\u0308', '\u1fb3\u0345'])
      expect(comparable(comparable(text))).toBe(comparable(text));
  });
});
