import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cutText, shortened, WholeCharacters, withoutControls } from './unicode.ts';

describe('withoutControls', () => {
  it.each([
    ['colours', '\x1b[1;31mERROR\x1b[0m disk', 'ERROR disk'],
    ['other CSI sequences', 'a\x1b[2Kb\x1b[?25lc\x9b32md', 'abcd'],
    ['a title, ended by BEL', '\x1b]0;window title\x07text', 'text'],
    ['a link, ended by ST', '\x1b]8;;https://x.test\x1b\\link\x1b]8;;\x1b\\ after', 'link after'],
    ['a string that nobody ends', 'a\x1b]0;title\nb', 'a\nb'],
    ['device control strings', 'a\x1bPq#0;2\x1b\\b', 'ab'],
    ['the choice of a character set', '\x1b(Btext\x1b=', 'text'],
    ['a lone escape', 'a\x1b', 'a'],
    ['NUL, BEL and DEL', 'a\0b\x07c\x7fd', 'abcd'],
    ['C1 controls', 'a\x81b', 'ab'],
    ['overstriking', 'N\bNA\bAM\bME\bE _\bx', 'NAME x'],
  ])('removes %s', (_what, text, expected) => expect(withoutControls(text)).toBe(expected));

  it('keeps tabs, line ends and non-control characters, and turns other breaks into line ends', () => {
    const text = 'a\tb\r\nc\n\u00a0é 😀\u200b\u2028';
    expect(withoutControls(text)).toBe(text);
    expect(withoutControls('page\fpage\vline\x85end')).toBe('page\npage\nline\nend');
  });

  it('leaves no control character in any text', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('a', '\x1b', '[', ']', 'm', '\x07', '\\', '\b', '\0', '\n') }),
        (text) => {
          expect(withoutControls(text)).not.toMatch(/[^\P{Cc}\t\n\r]/u);
        },
      ),
    );
  });
});

describe('cutText', () => {
  it.each([
    ['a surrogate pair', 'ab😀', 3, 'ab'],
    ['a letter and its accent', 'abe\u0301', 3, 'ab'],
    ['a family', 'x👩‍👩‍👧', 5, 'x'],
    ['a flag', 'x🇩🇪', 3, 'x'],
    ['a line end of two characters', 'ab\r\n', 3, 'ab'],
  ])('never cuts within %s', (_what, text, max, expected) => expect(cutText(text, max)).toBe(expected));

  it('keeps a text within the limit, and cuts a longer text at the limit', () => {
    expect(cutText('abc', 3)).toBe('abc');
    expect(cutText('abcd', 3)).toBe('abc');
    expect(cutText('', 0)).toBe('');
  });

  it('cuts a single overlong grapheme between code points', () => {
    const tower = `a${'\u0301'.repeat(1000)}`;
    expect(cutText(tower, 10)).toBe(tower.slice(0, 10));
    expect(cutText('😀', 1)).toBe('');
  });

  it('returns a well-formed prefix within the limit', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), fc.nat(300), (text, max) => {
        const cut = cutText(text, max);
        expect(text.startsWith(cut)).toBe(true);
        expect(cut.length).toBeLessThanOrEqual(max);
        expect(cut.isWellFormed()).toBe(text.isWellFormed());
      }),
    );
  });

  it('`shortened` marks the cut with an ellipsis', () => {
    expect(shortened('four', 4)).toBe('four');
    expect(shortened('a 😀😀', 5)).toBe('a 😀…');
  });
});

describe('WholeCharacters', () => {
  it('holds back half a surrogate pair until the other half arrives', () => {
    const parts = new WholeCharacters();
    expect(['a\ud83d', '\ude00b', ''].map((part) => parts.push(part))).toEqual(['a', '😀b', '']);
    expect(parts.end()).toBe('');
  });

  it('replaces an unpaired half, within the text or at its end, with U+FFFD', () => {
    const parts = new WholeCharacters();
    expect(['\ude00a', 'b\ud83d', 'c', '\ud83d'].map((part) => parts.push(part))).toEqual([
      '\ufffda',
      'b',
      '\ufffdc',
      '',
    ]);
    expect([parts.end(), parts.end()]).toEqual(['\ufffd', '']);
  });

  it('returns the complete well-formed text, wherever it is split', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.array(fc.nat(50)), (text, cuts) => {
        const parts = new WholeCharacters();
        const places = [0, ...cuts.filter((cut) => cut < text.length).sort((a, b) => a - b), text.length];
        const told = places.slice(1).map((to, at) => parts.push(text.slice(places[at], to)));
        expect(told.every((part) => part.isWellFormed())).toBe(true);
        expect(told.join('') + parts.end()).toBe(text.toWellFormed());
      }),
    );
  });
});
