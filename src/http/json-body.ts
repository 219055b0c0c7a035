import { badInput } from '../errors.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Maximum nesting of arrays and objects in a body. Deeper nesting would exhaust the stack of recursive code. */
const maxLevels = 200;
/**
 * Maximum number of values in a body, including nested ones. A document of 1000 sections with all metadata has fewer;
 * millions of invalid values would each be reported.
 */
const maxValues = 20_000;

/**
 * Parses the body of a request. Throws BAD_USER_INPUT for invalid UTF-8, invalid JSON, and too many or too deeply
 * nested values.
 */
export function parseJson(bytes: ArrayBuffer): unknown {
  if (bytes.byteLength === 0) throw badInput(['body'], 'is required');
  checkStructure(new Uint8Array(bytes));
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw badInput(['body'], 'is not valid UTF-8');
  }
  try {
    return JSON.parse(text);
  } catch {
    throw badInput(['body'], 'is not valid JSON');
  }
}

const [quote, backslash, comma, openBracket, closeBracket, openBrace, closeBrace] = [
  ...new TextEncoder().encode('"\\,[]{}'),
] as [number, number, number, number, number, number, number];

/**
 * Counts the values and levels of a JSON text before it is parsed: to parse an object with millions of keys takes
 * seconds and hundreds of megabytes. Whether the text is JSON at all is for the parser to say. Throws BAD_USER_INPUT.
 */
function checkStructure(bytes: Uint8Array): void {
  let levels = 0;
  let values = 0;
  /** Whether only white space has followed the last opening bracket. */
  let isEmpty = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] as number;
    // Space and line breaks. The parser rejects other control characters.
    if (byte <= 0x20) continue;
    const opens = byte === openBracket || byte === openBrace;
    const closes = byte === closeBracket || byte === closeBrace;
    if (byte === comma || (isEmpty && !closes)) {
      values++;
      if (values > maxValues) throw badInput(['body'], `has more than ${maxValues} values`);
    }
    isEmpty = opens;
    if (opens) {
      levels++;
      if (levels > maxLevels) throw badInput(['body'], `is nested more than ${maxLevels} levels deep`);
    } else if (closes) levels--;
    else if (byte === quote) at = endOfText(bytes, at);
  }
}

/** Returns the place of the quotation mark that ends the text which begins at `start`. */
function endOfText(bytes: Uint8Array, start: number): number {
  let at = start + 1;
  while (at < bytes.length && bytes[at] !== quote) at += bytes[at] === backslash ? 2 : 1;
  return at;
}
