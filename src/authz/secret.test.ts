import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  checksum,
  displaySecret,
  hashSecret,
  isWellFormedSecret,
  mentionsSecret,
  newSecret,
  prefixOf,
  redactSecrets,
  secretKinds,
} from './secret.ts';

const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const alnum = fc.constantFrom(...base62);
const prefix = fc.constantFrom(...secretKinds.map(prefixOf));
const body = (length: number) => fc.string({ unit: alnum, minLength: length, maxLength: length });
/** A well-formed secret from characters that fast-check generates, so that a failure can be reproduced. */
const secret = fc
  .oneof(fc.tuple(prefix, body(30)), fc.tuple(fc.constant(prefixOf('ANYTHINGLLM')), body(22)))
  .map(([start, random]) => start + random + checksum(random));
const lengthOf = (text: string) => text.replace(/^(on_|onyx_pat_|proj_|sk-|ses_|inv_)/, '').length;
const anyText = fc.oneof(fc.string({ unit: 'binary' }), fc.string());
const random = (text: string) => text.replace(/^(on_|onyx_pat_)/, '');

describe('the checksum of a secret', () => {
  test('is the CRC32 in base62, as in the published test vector', () => {
    expect(checksum('zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ')).toBe('0mLq17');
    expect(isWellFormedSecret('on_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17')).toBe(true);
    expect(isWellFormedSecret('onyx_pat_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17')).toBe(true);
  });

  test('is six base62 characters for any text', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(checksum(text)).toMatch(/^[0-9A-Za-z]{6}$/);
      }),
    );
  });

  test('detects every change of one character at any position', () => {
    const character = fc.oneof(alnum, fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }));
    fc.assert(
      fc.property(secret, fc.nat(), character, (text, at, other) => {
        const position = at % text.length;
        fc.pre(text[position] !== other);
        expect(isWellFormedSecret(text)).toBe(true);
        expect(isWellFormedSecret(text.slice(0, position) + other + text.slice(position + 1))).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });

  test('detects a missing character, an added character and two swapped characters', () => {
    fc.assert(
      fc.property(secret, fc.nat(), alnum, (text, at, added) => {
        const position = at % text.length;
        expect(isWellFormedSecret(text.slice(0, position) + text.slice(position + 1))).toBe(false);
        expect(isWellFormedSecret(text.slice(0, position) + added + text.slice(position))).toBe(false);
        expect(isWellFormedSecret(`${text}\n`)).toBe(false);
        const length = lengthOf(text);
        const start = text.length - length + (at % (length - 7));
        const [left, right] = [text[start], text[start + 1]];
        const exchanged = text.slice(0, start) + right + left + text.slice(start + 2);
        expect(isWellFormedSecret(exchanged)).toBe(left === right);
      }),
    );
  });

  test('rejects arbitrary text without throwing an error', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(isWellFormedSecret(text)).toBe(false);
      }),
    );
  });
});

describe('a generated secret', () => {
  test.each(secretKinds)('%s: is well-formed only as its kind, and is unique', (kind) => {
    const start = prefixOf(kind);
    const made = Array.from({ length: 500 }, () => newSecret(kind));
    for (const text of made) {
      expect(text).toMatch(new RegExp(`^${start}[0-9A-Za-z]{${start === 'sk-' ? 28 : 36}}$`));
      expect(isWellFormedSecret(text)).toBe(true);
      for (const other of secretKinds) expect(isWellFormedSecret(text, other)).toBe(other === kind);
    }
    expect(new Set(made).size).toBe(made.length);
  });

  test('is 31 characters long under the prefix sk-, and the longer form of earlier versions stays valid', () => {
    expect(newSecret('ANYTHINGLLM')).toHaveLength(31);
    expect(isWellFormedSecret('sk-zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17')).toBe(true);
    const random = 'zQWBuTSOoRi4A9spHcVY5n';
    expect(isWellFormedSecret(`sk-${random}${checksum(random)}`)).toBe(true);
    for (const other of ['on_', 'onyx_pat_', 'proj_', 'ses_', 'inv_'])
      expect(isWellFormedSecret(`${other}${random}${checksum(random)}`)).toBe(false);
    expect(redactSecrets(`task-${random}${checksum(random)}`)).toBe('task-[redacted]');
  });

  test('uses the whole alphabet at every position', () => {
    const seen = Array.from({ length: 30 }, () => new Set<string>());
    for (let made = 0; made < 3000; made++) {
      const text = random(newSecret('API_KEY'));
      for (const [place, characters] of seen.entries()) characters.add(text.charAt(place));
    }
    for (const characters of seen) expect([...characters].sort().join('')).toBe([...base62].sort().join(''));
  });

  test('is stored as the SHA-256 hash of the whole secret', () => {
    expect(hashSecret('on_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17').toString('hex')).toBe(
      '2ec7ac43d376ed705e8edb9f4646e1dffe1277d7910d1fc7dd382aa2a8f15b1f',
    );
  });
});

describe('the display form of a secret', () => {
  test('shows the first and last four characters of a key; of a personal token, the first three and last four', () => {
    expect(displaySecret('on_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17')).toBe('on_zQWB********Lq17');
    for (const prefix of ['sk-', 'proj_', 'ses_', 'inv_'])
      expect(displaySecret(`${prefix}zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17`)).toBe(`${prefix}zQWB********Lq17`);
    expect(displaySecret('onyx_pat_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17')).toBe('onyx_pat_zQW****Lq17');
  });

  test('reveals no other characters, and is not a valid secret itself', () => {
    fc.assert(
      fc.property(secret, (text) => {
        const shown = displaySecret(text);
        expect(shown).toMatch(
          /^((?:on_|sk-|proj_|ses_|inv_)[0-9A-Za-z]{4}\*{8}|onyx_pat_[0-9A-Za-z]{3}\*{4})[0-9A-Za-z]{4}$/,
        );
        expect(text.startsWith(shown.slice(0, shown.indexOf('*')))).toBe(true);
        expect(text.endsWith(shown.slice(-4))).toBe(true);
        expect(isWellFormedSecret(shown)).toBe(false);
        expect(redactSecrets(shown)).toBe(shown);
      }),
    );
  });
});

describe('the redaction of secrets', () => {
  const hostile = fc.oneof(
    secret,
    anyText,
    fc.string({ unit: alnum, maxLength: 80 }),
    fc.constantFrom('on_', 'onyx_pat_', 'proj_', 'sk-', 'Bearer ', '_', '-', '%20', '\n', 'on', '"'),
  );

  test('removes every secret from arbitrary text, whether plain, as JSON or as a URL', () => {
    fc.assert(
      fc.property(
        fc.array(hostile, { maxLength: 6 }),
        secret,
        fc.array(hostile, { maxLength: 6 }),
        (before, text, after) => {
          const whole = [...before, text, ...after].join('').toWellFormed();
          for (const written of [whole, JSON.stringify({ error: whole }), encodeURIComponent(whole)]) {
            expect(mentionsSecret(written)).toBe(true);
            const clean = redactSecrets(written);
            expect(clean).not.toContain(random(text));
            expect(mentionsSecret(clean)).toBe(false);
          }
        },
      ),
      { numRuns: 1000 },
    );
  });

  test('removes every secret from a sequence of secrets', () => {
    fc.assert(
      fc.property(
        fc.array(secret, { minLength: 2, maxLength: 5 }),
        fc.constantFrom('', '_', 'x', '\\n', ','),
        (all, between) => {
          const clean = redactSecrets(all.join(between));
          for (const text of all) expect(clean).not.toContain(random(text));
        },
      ),
    );
  });

  test('removes a secret whose end is cut off', () => {
    fc.assert(
      fc.property(secret, fc.integer({ min: 8, max: 36 }), (text, length) => {
        const cut = text.slice(0, text.length - lengthOf(text) + length);
        expect(redactSecrets(`token ${cut}`)).not.toContain(random(cut));
      }),
    );
  });

  test('keeps text that contains no secret', () => {
    const ordinary =
      'GET /api/chat/get-user-chat-sessions?only_non_project_chats=true&session_identifier=8 person_identification version_2026112100';
    expect(redactSecrets(ordinary)).toBe(ordinary);
    expect(mentionsSecret('?session_identifier=8&person_identification=1')).toBe(false);
    fc.assert(
      fc.property(fc.array(fc.string({ unit: alnum, maxLength: 50 })), (words) => {
        const text = words.join(' ');
        expect(redactSecrets(text)).toBe(text);
      }),
    );
  });
});
