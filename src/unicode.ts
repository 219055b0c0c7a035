/** A control character that is not whitespace: C0 and C1 except tab, line feed and carriage return. */
const controls = /[^\P{Cc}\t\n\r]/gu;

/**
 * Escape sequences of terminals (ECMA-48): colors and other CSI sequences, OSC and other strings with their content,
 * and two-character sequences such as the choice of a character set. An unterminated string ends with its line.
 */
const escapeSequences =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the expression matches control characters.
  /(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\r\n]*(?:\x07|\x1b\\|\x9c)?|\x1b[ -/]*[0-~]/g;

/** Overstrike, which manual pages use for bold and underlined words. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: the expression matches a backspace.
const struckOver = /[^\n]\x08/gu;

/**
 * Removes control characters and terminal escape sequences from a text. Tabs and line breaks stay; form feeds, vertical
 * tabs and NEL become line breaks.
 */
export function withoutControls(text: string): string {
  return text
    .replace(escapeSequences, '')
    .replace(struckOver, '')
    .replace(/[\f\v\x85]/g, '\n')
    .replace(controls, '');
}

/** Number of units on both sides of a cut that are examined: longer than every natural grapheme. */
const graphemeWindow = 64;

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/**
 * Truncates a text to at most `max` UTF-16 units between two graphemes: never within a surrogate pair, nor between a
 * letter and its accent. A single grapheme longer than `max` is cut between code points.
 */
export function cutText(text: string, max: number): string {
  if (text.length <= max) return text;
  const from = Math.max(0, max - graphemeWindow);
  const around = text.slice(from, max + graphemeWindow);
  const start = graphemes.segment(around).containing(max - from)?.index ?? 0;
  if (start > 0) return text.slice(0, from + start);
  const high = text.charCodeAt(max - 1);
  return text.slice(0, high >= 0xd800 && high <= 0xdbff ? max - 1 : max);
}

/** Truncates a text like {@link cutText}, with an ellipsis in the last position. */
export const shortened = (text: string, max: number): string =>
  text.length <= max ? text : `${cutText(text, max - 1).trimEnd()}…`;

/** Joins a text that arrives in parts, so that a part never ends within a surrogate pair. */
export class WholeCharacters {
  private held = '';

  /** Returns the text up to its last whole code point. A lone surrogate becomes U+FFFD. */
  push(part: string): string {
    const text = this.held + part;
    const last = text.charCodeAt(text.length - 1);
    const whole = last >= 0xd800 && last <= 0xdbff ? text.length - 1 : text.length;
    this.held = text.slice(whole);
    return text.slice(0, whole).toWellFormed();
  }

  /** Returns U+FFFD when the text ended within a surrogate pair, and an empty text otherwise. */
  end(): string {
    const rest = this.held.toWellFormed();
    this.held = '';
    return rest;
  }
}

/** The Windows-1252 characters for the C1 controls; the five unassigned ones stay controls. */
const windows1252 = '€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ';

/**
 * Decodes Windows-1252, a superset of printable Latin-1. `TextDecoder` in Node 20 returns C1 controls for the bytes
 * from 0x80 to 0x9F.
 */
export const decodeWindows1252 = (bytes: Uint8Array): string =>
  withWindows1252(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1'));

/** Replaces C1 controls, which do not occur in text, with the Windows-1252 characters of the same bytes. */
export const withWindows1252 = (text: string): string =>
  text.replace(/[\x80-\x9f]/g, (control) => windows1252.charAt(control.charCodeAt(0) - 0x80));
