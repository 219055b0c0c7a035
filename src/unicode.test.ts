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

  it('keeps tabs, line ends and what is no control', () => {
    const text = 'a\tb\r\nc\n\u00a0é 😀\u200b\u2028';
    expect(withoutControls(text)).toBe(text);
    expect(withoutControls('page\fpage\vline\x85end')).toBe('page\npage\nline\nend');
  });

  it('leaves no control character of any text', () => {
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

  it('keeps a text that is short enough, and cuts letters where they are', () => {
    expect(cutText('abc', 3)).toBe('abc');
    expect(cutText('abcd', 3)).toBe('abc');
    expect(cutText('', 0)).toBe('');
  });

  it('cuts one endless character between code points', () => {
    const tower = `a${'\u0301'.repeat(1000)}`;
    expect(cutText(tower, 10)).toBe(tower.slice(0, 10));
    expect(cutText('😀', 1)).toBe('');
  });

  it('gives a well-formed beginning that is as long as it may be', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), fc.nat(300), (text, max) => {
        const cut = cutText(text, max);
        expect(text.startsWith(cut)).toBe(true);
        expect(cut.length).toBeLessThanOrEqual(max);
        expect(cut.isWellFormed()).toBe(text.isWellFormed());
      }),
    );
  });

  it('marks what was cut', () => {
    expect(shortened('four', 4)).toBe('four');
    expect(shortened('a 😀😀', 5)).toBe('a 😀…');
  });
});

describe('WholeCharacters', () => {
  it('holds back half of a character until the other half is there', () => {
    const parts = new WholeCharacters();
    expect(['a\ud83d', '\ude00b', ''].map((part) => parts.push(part))).toEqual(['a', '😀b', '']);
    expect(parts.end()).toBe('');
  });

  it('shows what is half to the end, or within, as U+FFFD', () => {
    const parts = new WholeCharacters();
    expect(['\ude00a', 'b\ud83d', 'c', '\ud83d'].map((part) => parts.push(part))).toEqual([
      '\ufffda',
      'b',
      '\ufffdc',
      '',
    ]);
    expect([parts.end(), parts.end()]).toEqual(['\ufffd', '']);
  });

  it('gives any text back, wherever it was cut', () => {
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
