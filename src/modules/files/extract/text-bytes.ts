import { isUtf8 } from 'node:buffer';

/** A Unicode encoding that is recognized by the first bytes of a file or the positions of its zero bytes. */
export type UnicodeEncoding = 'utf-8' | 'utf-16le' | 'utf-16be' | 'utf-32le' | 'utf-32be';

/** Number of bytes examined at the beginning of a file, and again at its end. A multiple of four. */
const sampleSize = 128 * 1024;

/** Signatures of files that are not text, regardless of their names. */
const signatures: readonly [characters: string, offset?: number][] = [
  ['%PDF-'],
  ['PK\x03\x04'],
  ['PK\x05\x06'],
  ['\x89PNG'],
  ['\xff\xd8\xff'],
  ['GIF8'],
  ['RIFF'],
  ['ID3'],
  ['OggS'],
  ['fLaC'],
  ['\x1f\x8b'],
  ['BZh'],
  ['\xfd7zXZ\0'],
  ['\x28\xb5\x2f\xfd'],
  ['7z\xbc\xaf\x27\x1c'],
  ['Rar!\x1a\x07'],
  ['\x7fELF'],
  ['MZ\x90\0'],
  ['\xca\xfe\xba\xbe'],
  ['\xcf\xfa\xed\xfe'],
  ['\0asm'],
  ['\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1'],
  ['SQLite format 3\0'],
  ['II*\0'],
  ['MM\0*'],
  ['ftyp', 4],
  ['ustar', 257],
];

/** Returns whether the bytes contain these Latin-1 characters at an offset. */
export function has(bytes: Uint8Array, characters: string, offset = 0): boolean {
  return view(bytes)
    .subarray(offset, offset + characters.length)
    .equals(Buffer.from(characters, 'latin1'));
}

const view = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);

/** Returns the encoding that a byte order mark indicates, or null without one. */
export function markedEncoding(bytes: Uint8Array): UnicodeEncoding | null {
  if (has(bytes, '\xef\xbb\xbf')) return 'utf-8';
  if (has(bytes, '\0\0\xfe\xff') && bytes.length % 4 === 0) return 'utf-32be';
  // These bytes can also be the UTF-16 byte order mark before a NUL, unless the rest is valid UTF-32.
  if (has(bytes, '\xff\xfe\0\0') && bytes.length % 4 === 0 && isUtf32(bytes.subarray(4), 'utf-32le')) return 'utf-32le';
  if (has(bytes, '\xff\xfe')) return 'utf-16le';
  return has(bytes, '\xfe\xff') ? 'utf-16be' : null;
}

/**
 * Returns UTF-16 or UTF-32 for a text without a byte order mark, detected by the zero bytes of spaces, digits and line
 * breaks at its beginning or, without zero bytes, by its East Asian characters. Returns null for anything else.
 */
export function unmarkedEncoding(bytes: Uint8Array): Exclude<UnicodeEncoding, 'utf-8'> | null {
  const sample = bytes.subarray(0, sampleSize);
  if (bytes.length % 4 === 0 && view(sample).includes(0))
    for (const encoding of ['utf-32le', 'utf-32be'] as const) if (isUtf32(sample, encoding)) return encoding;
  if (sample.length < 2 || bytes.length % 2 !== 0) return null;
  const [little, big] = [plainUnits(sample, 1), plainUnits(sample, 0)];
  const [most, least] = [Math.max(little, big), Math.min(little, big)];
  if (most >= Math.max(1, sample.length / 100) && most >= 2 * least) {
    const encoding = little > big ? 'utf-16le' : 'utf-16be';
    return isAssigned(new TextDecoder(encoding).decode(sample)) ? encoding : null;
  }
  if (isForeignText(bytes)) return null;
  return (['utf-16le', 'utf-16be'] as const).find((encoding) => isEastAsian(sample, encoding)) ?? null;
}

/**
 * Returns whether nearly all characters of a text are Chinese, Japanese or Korean. In random bytes, about half of them
 * are.
 */
function isEastAsian(sample: Uint8Array, encoding: 'utf-16le' | 'utf-16be'): boolean {
  const text = new TextDecoder(encoding).decode(sample);
  const count = text.match(/[\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff00-\uffef\s]/g)?.length ?? 0;
  return count >= text.length * 0.95;
}

/**
 * Counts the UTF-16 code units that are printable ASCII or white space. `upper` is the position of the high byte in
 * each unit.
 */
function plainUnits(sample: Uint8Array, upper: 0 | 1): number {
  let count = 0;
  for (let at = 0; at + 1 < sample.length; at += 2)
    if (sample[at + upper] === 0 && isPlain(sample[at + 1 - upper] as number)) count++;
  return count;
}

const isPlain = (code: number): boolean =>
  (code >= 0x20 && code < 0x7f) || code === 0x09 || code === 0x0a || code === 0x0d;

/**
 * Returns whether a text contains almost no code points that are not used in text: unassigned ones, private use,
 * control characters and lone surrogates.
 */
function isAssigned(text: string): boolean {
  const strange = text.match(/[\p{Cn}\p{Co}\p{Cs}]|[^\P{Cc}\s]/gu)?.length ?? 0;
  return strange * 100 <= text.length;
}

/** Returns whether all four-byte words are code points and almost no control characters. */
function isUtf32(bytes: Uint8Array, encoding: 'utf-32le' | 'utf-32be'): boolean {
  const sample = view(bytes.subarray(0, sampleSize));
  if (sample.length < 4) return false;
  let controls = 0;
  for (let at = 0; at + 3 < sample.length; at += 4) {
    const code = encoding === 'utf-32le' ? sample.readUInt32LE(at) : sample.readUInt32BE(at);
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return false;
    if (code < 0x20 && !isPlain(code)) controls++;
  }
  return controls * 50 <= sample.length / 4;
}

/** Maximum shares of NUL and of control characters in the bytes of a text. */
const maxNul = 0.1;
const maxControls = 0.3;
/**
 * Maximum share for bytes that are not UTF-8, because no other encoding has control characters within its characters.
 */
const maxForeign = 0.02;

/**
 * Returns whether the content of a file is text in some encoding. Examines the beginning and the end of a large file.
 * Text can contain some control characters, which are removed when it is read.
 */
export function looksLikeText(bytes: Uint8Array): boolean {
  if (signatures.some(([characters, offset]) => has(bytes, characters, offset))) return false;
  const marked = markedEncoding(bytes);
  if (marked !== null && marked !== 'utf-8') return isUnicodeText(bytes, marked);
  if (isUtf8Text(bytes)) return true;
  return isForeignText(bytes) || unmarkedEncoding(bytes) !== null;
}

/** Returns whether bytes can be text in an encoding other than a Unicode encoding. */
function isForeignText(bytes: Uint8Array): boolean {
  const { length, nul, controls } = countControls(bytes);
  return !isUtf8(bytes) && nul <= length * (maxForeign / 4) && nul + controls <= length * maxForeign;
}

/**
 * Returns whether bytes are UTF-8 with few control characters. UTF-16 can also be well-formed UTF-8, but then every
 * second byte is a control character.
 */
export function isUtf8Text(bytes: Uint8Array): boolean {
  if (!isUtf8(bytes)) return false;
  const { length, nul, controls } = countControls(bytes);
  return nul <= length * maxNul && nul + controls <= length * maxControls;
}

function isUnicodeText(bytes: Uint8Array, encoding: Exclude<UnicodeEncoding, 'utf-8'>): boolean {
  if (encoding.startsWith('utf-32')) return true;
  const text = new TextDecoder(encoding).decode(bytes.subarray(0, sampleSize));
  const nul = text.match(/\0/g)?.length ?? 0;
  const controls = text.match(/[^\P{Cc}\s]/gu)?.length ?? 0;
  return nul <= text.length * maxNul && controls <= text.length * maxControls;
}

function countControls(bytes: Uint8Array): { length: number; nul: number; controls: number } {
  const ends = bytes.length <= 2 * sampleSize ? [bytes] : [bytes.subarray(0, sampleSize), bytes.subarray(-sampleSize)];
  let length = 0;
  let nul = 0;
  let controls = 0;
  for (const end of ends) {
    length += end.length;
    for (const byte of end)
      if (byte === 0) nul++;
      // Text from terminals contains backspace, escape and the DOS end-of-file character.
      else if (byte < 0x20 ? !((byte >= 0x08 && byte <= 0x0d) || byte === 0x1a || byte === 0x1b) : byte === 0x7f)
        controls++;
  }
  return { length, nul, controls };
}
