import { isUtf8 } from 'node:buffer';
import iconv from 'iconv-lite';
import { isUtf8Text, markedEncoding, unmarkedEncoding } from './text-bytes.ts';

/** Bytes that the encoding is detected from: lines with more than ASCII in them. */
const sampleSize = 64 * 1024;

/** Bytes at the beginning of a page or an XML document that may say its encoding. */
const declarationSize = 4096;

/** What the detection chooses from: the encodings of the web, but for those that nobody used for documents. */
const detected = [
  ...['shift_jis', 'cp932', 'euc-jp', 'gb18030', 'big5', 'big5-hkscs', 'euc-kr', 'cp949'],
  ...['windows-1250', 'windows-1251', 'windows-1252', 'windows-1253', 'windows-1254', 'windows-1255', 'windows-1256'],
  ...['windows-1257', 'windows-1258', 'windows-874', 'tis-620', 'koi8-r', 'koi8-u'],
  ...['iso-8859-2', 'iso-8859-5', 'iso-8859-7', 'iso-8859-15'],
];

/** Encodings whose names on the web mean a larger set. */
const larger: Readonly<Record<string, string>> = {
  ...{ gbk: 'gb18030', shift_jis: 'cp932', 'euc-kr': 'cp949', big5: 'big5-hkscs', 'iso-8859-8-i': 'iso-8859-8' },
  ...{ macintosh: 'macroman', 'x-mac-cyrillic': 'maccyrillic' },
};

/**
 * Decodes the text of a file, whatever encoding it is in: by its byte order mark, as UTF-8 where it is that, as it was
 * declared (`declared` by whoever sent it, or in itself where it is a page or XML), and else by detection. Never fails:
 * bytes that stand for nothing become U+FFFD. A text of lines in UTF-8 and lines in another encoding is read line by
 * line.
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

/** Returns what iconv calls the encoding of that label (Encoding Standard); null for an unknown one. */
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

/** Returns the encoding that an XML declaration or a `meta` element of a page names; null without one. */
function declarationIn(buffer: Buffer): string | null {
  const start = buffer.toString('latin1', 0, declarationSize).replace(/<!--[\s\S]*?(?:-->|$)/g, '');
  const xml = /^\s*<\?xml\s[^>]*?encoding\s*=\s*["']\s*([\w.:-]+)/i.exec(start);
  return (xml ?? /<meta\s[^>]*?charset\s*=\s*["']?\s*([\w.:-]+)/i.exec(start))?.[1] ?? null;
}

/** Whether a text switches to Kanji by the escapes of ISO-2022-JP: it is ASCII otherwise. */
const hasJapaneseEscapes = (buffer: Buffer): boolean =>
  (buffer.includes('\x1b$B') || buffer.includes('\x1b$@')) && !buffer.some((byte) => byte >= 0x80);

/** Whether at least a quarter of what is not ASCII is UTF-8: no other encoding has that many sequences of it. */
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

/** Lines that are not UTF-8, as many as a detection needs; a longer line is cut. */
function foreignLines(buffer: Buffer): Buffer {
  const lines: Buffer[] = [];
  let size = 0;
  for (const line of linesOf(buffer)) {
    if (size >= sampleSize) break;
    if (isUtf8(line)) continue;
    const first = line.findIndex((byte) => byte >= 0x80);
    // Of one endless line the part that is not ASCII counts.
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

/** A line that is UTF-8 in part: what is not, is in an encoding of single bytes, or all of it is in another one. */
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
  // The detection leaves out what it thinks unlikely; Kana are written in these two alone.
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

/** How much a decoded text looks like one that somebody wrote, as a factor of the detection's confidence. */
function plausibility(text: string, encoding: string): number {
  const letters = text.match(/[^\0-\x7f]/gu)?.length ?? 1;
  const broken = text.match(/[\ufffd\p{Co}\p{Cn}]|[^\P{Cc}\s]/gu)?.length ?? 0;
  // Words of two alphabets, as Latin letters give that are read as Cyrillic ones.
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
