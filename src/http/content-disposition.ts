import { decodeWindows1252 } from '../unicode.ts';

/** The parameters of a header, such as `form-data; name="x"`, by lower-case name, with unparsed values. */
export type Parameters = ReadonlyMap<string, string>;

/**
 * Parses the parameters of a header whose bytes are given as Latin-1. In a quoted value, `\"` and `\\` are a quote and
 * a backslash; any other backslash is literal, since browsers sent Windows paths that way. A quote ends a value only
 * before a semicolon or the end, since some clients do not escape quotes in names. The first of two parameters with one
 * name is used.
 */
export function parametersOf(header: string): Parameters {
  const parameters = new Map<string, string>();
  const name = /;\s*([^=;\s]+)\s*=\s*/g;
  name.lastIndex = Math.max(header.indexOf(';'), 0);
  for (let match = name.exec(header); match; match = name.exec(header)) {
    const isQuoted = header[name.lastIndex] === '"';
    const { value, end } = isQuoted ? quotedAt(header, name.lastIndex + 1) : tokenAt(header, name.lastIndex);
    const key = (match[1] as string).toLowerCase();
    if (!parameters.has(key)) parameters.set(key, value);
    name.lastIndex = end;
  }
  return parameters;
}

function tokenAt(header: string, start: number): { value: string; end: number } {
  const semicolon = header.indexOf(';', start);
  const end = semicolon < 0 ? header.length : semicolon;
  return { value: header.slice(start, end).trim(), end };
}

function quotedAt(header: string, start: number): { value: string; end: number } {
  let value = '';
  let at = start;
  for (; at < header.length; at++) {
    const character = header[at] as string;
    const next = header[at + 1];
    if (character === '\\' && (next === '"' || next === '\\')) value += header[++at];
    else if (character === '"' && closes(header, at)) break;
    else value += character;
  }
  return { value, end: at + 1 };
}

/** Returns whether only whitespace is between a quote and the next parameter. */
function closes(header: string, quote: number): boolean {
  let at = quote + 1;
  while (header[at] === ' ' || header[at] === '\t') at++;
  return at >= header.length || header[at] === ';';
}

/**
 * Returns the name of a form part, or undefined for a part without one: raw UTF-8 or Latin-1, with the browsers' escapes for
 * quotes and line breaks (HTML, "multipart/form-data encoding algorithm").
 */
export const partName = (parameters: Parameters): string | undefined => {
  const name = parameters.get('name');
  return name === undefined ? undefined : withoutEscapes(decodeRaw(name));
};

/**
 * Returns the name of a file, or undefined for a part without one, from `filename*` (RFC 8187), `filename*0` and following
 * (RFC 2231), encoded words (RFC 2047), or the raw bytes of `filename`, in this order.
 */
export function fileName(parameters: Parameters): string | undefined {
  const extended = parameters.get('filename*');
  const plain = parameters.get('filename');
  const decoded = extended === undefined ? continued(parameters) : decodeExtended(extended);
  if (decoded !== undefined) return decoded;
  if (plain === undefined) return extended === undefined ? undefined : decodeRaw(extended);
  return decodeWords(plain) ?? withoutEscapes(decodeRaw(plain));
}

/** Replaces the escapes that browsers write for quotes and line breaks; any other percent sign is literal. */
const withoutEscapes = (name: string): string =>
  name.replaceAll(/%(22|0D|0A)/gi, (_escape, code: string) => String.fromCharCode(Number.parseInt(code, 16)));

/** Decodes bytes that are given as Latin-1: as UTF-8 when they are valid, otherwise as Windows-1252. */
const decodeRaw = (text: string): string => decode(Buffer.from(text, 'latin1'), 'utf-8');

/** Decodes bytes in a charset. Invalid bytes, and bytes of an unknown charset, are decoded as Windows-1252. */
function decode(bytes: Uint8Array, charset: string): string {
  const label = charset.trim().toLowerCase();
  if (!/^(?:iso-8859-1|latin-?1|us-ascii|windows-1252|cp1252)$/.test(label))
    try {
      return new TextDecoder(label, { fatal: true }).decode(bytes);
    } catch {
      // An unknown label, or bytes that are invalid in that charset.
    }
  return decodeWindows1252(bytes);
}

const percentDecoded = (text: string): Buffer =>
  Buffer.from(
    text.replaceAll(/%([\da-f]{2})/gi, (_escape, code: string) => String.fromCharCode(Number.parseInt(code, 16))),
    'latin1',
  );

/** Decodes `UTF-8'en'na%C3%AFve.txt`. Returns undefined for a value without charset and language. */
function decodeExtended(value: string): string | undefined {
  const [, charset, text] = /^([^']*)'[^']*'(.*)$/s.exec(value) ?? [];
  return charset === undefined || text === undefined ? undefined : decode(percentDecoded(text), charset || 'utf-8');
}

/** Joins the numbered segments of one name; encoded segments end with an asterisk. */
function continued(parameters: Parameters): string | undefined {
  const segments: Buffer[] = [];
  let charset = 'utf-8';
  for (let number = 0; ; number++) {
    const plain = parameters.get(`filename*${number}`);
    const encoded = parameters.get(`filename*${number}*`);
    if (encoded !== undefined) {
      const [, named, text = encoded] = number === 0 ? (/^([^']*)'[^']*'(.*)$/s.exec(encoded) ?? []) : [];
      charset = named || charset;
      segments.push(percentDecoded(text));
    } else if (plain !== undefined) segments.push(Buffer.from(plain, 'latin1'));
    else break;
  }
  return segments.length === 0 ? undefined : decode(Buffer.concat(segments), charset);
}

const encodedWord = /=\?([\w.:-]+)(?:\*[\w-]*)?\?([bq])\?([^?\s]*)\?=/gi;

/** Decodes a name with encoded words, or returns undefined for any other. Adjacent words can share a character. */
function decodeWords(value: string): string | undefined {
  if (value.search(encodedWord) < 0) return undefined;
  let name = '';
  let end = 0;
  let open: { charset: string; bytes: Buffer[] } | null = null;
  const close = () => {
    if (open) name += decode(Buffer.concat(open.bytes), open.charset);
    open = null;
  };
  for (const { 0: word, 1: charset = '', 2: kind = '', 3: text = '', index } of value.matchAll(encodedWord)) {
    const between = value.slice(end, index);
    if (open === null || between.trim() !== '' || open.charset !== charset.toLowerCase()) {
      close();
      if (end === 0 || between.trim() !== '') name += decodeRaw(between);
      open = { charset: charset.toLowerCase(), bytes: [] };
    }
    const isBase64 = kind.toLowerCase() === 'b';
    open.bytes.push(
      isBase64
        ? Buffer.from(text, 'base64')
        : percentDecoded(text.replaceAll('%', '%25').replaceAll('_', ' ').replaceAll('=', '%')),
    );
    end = index + word.length;
  }
  close();
  return name + decodeRaw(value.slice(end));
}
