/** A code point of control that is no white space which readers keep: C0 and C1 but for tab, line feed and carriage return. */
const controls = /[^\P{Cc}\t\n\r]/gu;

/**
 * Escape sequences of terminals (ECMA-48): colours and other CSI sequences, OSC and other strings with what stands in
 * them, and two-character ones such as the choice of a character set. A string that nobody ends goes to the end of its
 * line.
 */
const escapeSequences =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
  /(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\r\n]*(?:\x07|\x1b\\|\x9c)?|\x1b[ -/]*[0-~]/g;

/** A character that a printer strikes over, as manual pages have it for bold and underlined words. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: a backspace is what is looked for.
const struckOver = /[^\n]\x08/gu;

/**
 * Removes control characters and the escape sequences of terminals from a text. Tabs and line ends stay; form feeds,
 * vertical tabs and the control NEL become line ends.
 */
export function withoutControls(text: string): string {
  return text
    .replace(escapeSequences, '')
    .replace(struckOver, '')
    .replace(/[\f\v\x85]/g, '\n')
    .replace(controls, '');
}

/** Units on either side of a cut that are looked at: longer than all but made-up graphemes. */
const graphemeWindow = 64;

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/**
 * Cuts a text to at most `max` UTF-16 units, between two characters as a reader sees them: never within a surrogate
 * pair, nor between a letter and its accent. A single character that is longer than `max` is cut between code points.
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

/** Like {@link cutText}, with an ellipsis in the last place of a text that was cut. */
export const shortened = (text: string, max: number): string =>
  text.length <= max ? text : `${cutText(text, max - 1).trimEnd()}…`;

/** Joins a text that arrives in parts: a part never ends within a surrogate pair, wherever its sender cut it. */
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

  /** Returns U+FFFD when the text ended within a surrogate pair, and nothing otherwise. */
  end(): string {
    const rest = this.held.toWellFormed();
    this.held = '';
    return rest;
  }
}

/** What Windows-1252 has in the places of the C1 controls; those five that it leaves free stay controls. */
const windows1252 = '€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ';

/**
 * Decodes Windows-1252, of which Latin-1 is the printable part. `TextDecoder` of Node 20 gives C1 controls for the bytes
 * from 0x80 to 0x9F.
 */
export const decodeWindows1252 = (bytes: Uint8Array): string =>
  withWindows1252(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1'));

/** Replaces C1 controls, which no text holds, by the characters that Windows-1252 has in their places. */
export const withWindows1252 = (text: string): string =>
  text.replace(/[\x80-\x9f]/g, (control) => windows1252.charAt(control.charCodeAt(0) - 0x80));
