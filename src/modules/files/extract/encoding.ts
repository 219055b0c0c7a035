import { isUtf8 } from 'node:buffer';
import iconv from 'iconv-lite';
import { isUtf8Text, markedEncoding, unmarkedEncoding } from './text-bytes.ts';

/** Size of the sample for encoding detection, in bytes. The sample consists of lines that are not pure ASCII. */
const sampleSize = 64 * 1024;

/** Size of the beginning of a page or an XML document that can declare its encoding, in bytes. */
const declarationSize = 4096;

/** Candidates for encoding detection: the encodings of the web, except those that were never used for documents. */
const detected = [
  ...['shift_jis', 'cp932', 'euc-jp', 'gb18030', 'big5', 'big5-hkscs', 'euc-kr', 'cp949'],
  ...['windows-1250', 'windows-1251', 'windows-1252', 'windows-1253', 'windows-1254', 'windows-1255', 'windows-1256'],
  ...['windows-1257', 'windows-1258', 'windows-874', 'tis-620', 'koi8-r', 'koi8-u'],
  ...['iso-8859-2', 'iso-8859-5', 'iso-8859-7', 'iso-8859-15'],
];

/** Maps encodings to the larger character set that their names refer to on the web. */
const larger: Readonly<Record<string, string>> = {
  ...{ gbk: 'gb18030', shift_jis: 'cp932', 'euc-kr': 'cp949', big5: 'big5-hkscs', 'iso-8859-8-i': 'iso-8859-8' },
  ...{ macintosh: 'macroman', 'x-mac-cyrillic': 'maccyrillic' },
};

/**
 * Decodes the text of a file in any encoding: by its byte order mark; as UTF-8 if it is valid; by its declared encoding
 * (`declared` by the sender, or inside a page or an XML document); otherwise by detection. Never fails: invalid bytes
 * become U+FFFD. A text that mixes lines in UTF-8 with lines in another encoding is decoded line by line.
 */
export async function decodeText(bytes: Uint8Array, declared: string | null = null): Promise<string> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const marked = markedEncoding(buffer);
  if (marked !== null && (marked !== 'utf-8' || isUtf8(buffer))) return iconv.decode(buffer, marked);
  const named = [declared, declarationIn(buffer)].flatMap((label) => encodingOf(label) ?? []);
  if (named[0] === 'iso-2022-jp' || hasJapaneseEscapes(buffer)) return new TextDecoder('iso-2022-jp').decode(buffer);
  if (isUtf8Text(buffer)) return buffer.toString('utf8');
  const unmarked = unmarkedEncoding(buffer);
  if (unmarked !== null) return iconv.decode(buffer, unmarked);
  if (isUtf8(buffer)) return buffer.toString('utf8');
  for (const encoding of named)
    if (encoding !== 'utf-8') {
      const text = iconv.decode(buffer, encoding);
      if (!text.includes('\ufffd')) return text;
    }
  return isPartlyUtf8(buffer) ? decodeByLine(buffer) : decode(buffer, await detect(foreignLines(buffer)));
}

const decode = (buffer: Buffer, encoding: string): string => iconv.decode(buffer, encoding);

/**
 * Returns the name that iconv uses for the encoding with this label (Encoding Standard), or null for an unknown label.
 */
function encodingOf(label: string | null): string | null {
  if (label === null) return null;
  try {
    const { encoding } = new TextDecoder(label.trim());
    const name = larger[encoding] ?? encoding;
    return encoding === 'iso-2022-jp' || iconv.encodingExists(name) ? name : null;
  } catch {
    return iconv.encodingExists(label) ? label : null;
  }
}

/**
 * Returns the encoding that an XML declaration or a `meta` element of a page declares, or null without a declaration.
 */
function declarationIn(buffer: Buffer): string | null {
  const start = buffer.toString('latin1', 0, declarationSize).replace(/<!--[\s\S]*?(?:-->|$)/g, '');
  const xml = /^\s*<\?xml\s[^>]*?encoding\s*=\s*["']\s*([\w.:-]+)/i.exec(start);
  return (xml ?? /<meta\s[^>]*?charset\s*=\s*["']?\s*([\w.:-]+)/i.exec(start))?.[1] ?? null;
}

/** Returns whether a text contains the ISO-2022-JP escape sequences for Kanji and is ASCII otherwise. */
const hasJapaneseEscapes = (buffer: Buffer): boolean =>
  (buffer.includes('\x1b$B') || buffer.includes('\x1b$@')) && !buffer.some((byte) => byte >= 0x80);

/**
 * Returns whether at least a quarter of the non-ASCII content is UTF-8. Text in other encodings does not contain that
 * many valid UTF-8 sequences.
 */
function isPartlyUtf8(buffer: Buffer): boolean {
  let broken = 0;
  let whole = 0;
  for (const character of buffer.toString('utf8'))
    if (character === '\ufffd') broken++;
    else if (character > '\x7f') whole++;
  return whole * 3 >= broken;
}

function* linesOf(buffer: Buffer): Generator<Buffer> {
  for (let start = 0; start < buffer.length; ) {
    const newline = buffer.indexOf(0x0a, start);
    const end = newline < 0 ? buffer.length : newline + 1;
    yield buffer.subarray(start, end);
    start = end;
  }
}

/** Returns the lines that are not UTF-8, as many as detection needs. A line that is too long is truncated. */
function foreignLines(buffer: Buffer): Buffer {
  const lines: Buffer[] = [];
  let size = 0;
  for (const line of linesOf(buffer)) {
    if (size >= sampleSize) break;
    if (isUtf8(line)) continue;
    const first = line.findIndex((byte) => byte >= 0x80);
    // Of a very long line, the part that is not ASCII is used.
    const part = line.length <= sampleSize ? line : line.subarray(Math.max(0, first - 64), first + sampleSize);
    lines.push(part);
    size += part.length;
  }
  return Buffer.concat(lines);
}

async function decodeByLine(buffer: Buffer): Promise<string> {
  const encoding = await detect(foreignLines(buffer));
  const lines: string[] = [];
  for (const line of linesOf(buffer)) lines.push(isUtf8(line) ? line.toString('utf8') : decodeMixed(line, encoding));
  return lines.join('');
}

/**
 * Decodes a line that is only partly UTF-8. With a single-byte encoding, only the bytes that are not UTF-8 are decoded
 * with it; with any other encoding, the whole line is.
 */
function decodeMixed(line: Buffer, encoding: string): string {
  if (!/^(?:windows-|iso-?8859|koi8)/i.test(encoding)) return decode(line, encoding);
  let text = '';
  for (let at = 0; at < line.length; ) {
    const byte = line[at] as number;
    const length = byte < 0x80 ? 1 : byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    const part = line.subarray(at, at + length);
    if (part.length === length && isUtf8(part)) {
      text += part.toString('utf8');
      at += length;
    } else {
      text += decode(line.subarray(at, at + 1), encoding);
      at += 1;
    }
  }
  return text;
}

/** Detects the encoding of bytes that are not UTF-8. */
async function detect(sample: Buffer): Promise<string> {
  const { detectAll } = await import('jschardet');
  const candidates = detectAll(sample, { detectEncodings: detected, minimumThreshold: 0 })
    .flatMap(({ encoding, confidence }) =>
      encoding !== null && iconv.encodingExists(encoding) ? { encoding, confidence } : [],
    )
    .slice(0, 8);
  // The detection omits candidates that it considers unlikely. Kana are written only in these two encodings.
  for (const encoding of ['cp932', 'euc-jp'])
    if (!candidates.some((candidate) => same(candidate.encoding, encoding)))
      candidates.push({ encoding, confidence: 0.001 });
  candidates.push({ encoding: 'windows-1252', confidence: 0.0005 });
  const [best] = candidates
    .map(({ encoding, confidence }) => ({
      encoding,
      score: confidence * plausibility(decode(sample, encoding), encoding),
    }))
    .sort((a, b) => b.score - a.score);
  return best?.encoding ?? 'windows-1252';
}

const same = (one: string, other: string): boolean => one.toLowerCase() === other;

/** Returns how plausible a decoded text is, as a factor for the confidence of the detection. */
function plausibility(text: string, encoding: string): number {
  const letters = text.match(/[^\0-\x7f]/gu)?.length ?? 1;
  const broken = text.match(/[\ufffd\p{Co}\p{Cn}]|[^\P{Cc}\s]/gu)?.length ?? 0;
  // Words that mix two scripts, which appear when Latin letters are decoded as Cyrillic ones.
  const mixed =
    text.match(/(?=\p{L}*[a-z])(?=[a-z]*[^a-z\P{L}])(?<!\p{L})\p{L}+/giu)?.filter(isOfTwoScripts).length ?? 0;
  const kana = text.match(/[\u3041-\u30fa]/g)?.length ?? 0;
  let factor = 1 / (1 + (100 * broken) / letters);
  if (mixed > 0) factor /= 1 + (20 * mixed) / letters;
  if (kana * 5 >= letters && /^(?:euc-jp|cp932|shift_jis)$/i.test(encoding)) factor *= 20;
  return factor;
}

const isOfTwoScripts = (word: string): boolean =>
  /\p{Script=Latin}/u.test(word) &&
  /[\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Thai}]/u.test(word);
