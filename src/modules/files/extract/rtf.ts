import { hex as symbolOf } from 'dingbat-to-unicode';
import iconv from 'iconv-lite';
import { Blocks, heading, oneLine, table } from './markdown.ts';
import { checkLength, UnreadableError } from './unreadable.ts';

/** Maximum nesting depth of groups. */
const maxDepth = 1000;

/** Code pages of the font character sets (`\fcharset`). */
const charsets: Readonly<Record<number, number>> = {
  ...{ 0: 1252, 77: 10000, 128: 932, 129: 949, 134: 936, 136: 950, 161: 1253, 162: 1254, 163: 1258, 177: 1255 },
  ...{ 178: 1256, 186: 1257, 204: 1251, 222: 874, 238: 1250, 254: 437, 255: 850 },
};
const symbolCharset = 2;

/** The code pages of the control words that name one. */
const codePages = { mac: 10000, pc: 437, pca: 850 } as const;

/** Groups that contain no visible text. */
const skipped = new Set([
  ...[
    'fonttbl',
    'colortbl',
    'stylesheet',
    'info',
    'pict',
    'filetbl',
    'nonshppict',
    'xe',
    'tc',
    'rxe',
    'txe',
    'fldinst',
  ],
  ...['objdata', 'shprslt', 'upr', 'fldtype', 'bkmkstart', 'bkmkend', 'ftnsep', 'ftnsepc', 'aftnsep', 'aftnsepc', 'sp'],
]);

/** Groups that are marked as ignorable for readers that do not know them (`\*`), and that are read here. */
const known = new Set(['shpinst', 'shptxt', 'ud', 'annotation']);

/** The characters that some control words represent. */
const characters: Readonly<Record<string, string>> = {
  ...{ tab: '\t', line: '\n', lbr: '\n', emdash: '—', endash: '–', emspace: ' ', enspace: ' ', qmspace: ' ' },
  ...{ lquote: '‘', rquote: '’', ldblquote: '“', rdblquote: '”', bullet: '•', nestcell: '\t', nestrow: '\n' },
  ...{ '~': ' ', _: '-', '{': '{', '}': '}', '\\': '\\' },
};

/** Destination of a group's text. */
type Target = 'body' | 'header' | 'footer' | 'footnote' | 'annotation' | 'none' | 'fonts';

interface Group {
  target: Target;
  font: number;
  /** Number of fallback characters after a Unicode character, for readers that do not support Unicode. */
  fallback: number;
  isHidden: boolean;
  isInTable: boolean;
  /** Heading level, starting at 0. */
  outline: number | null;
}

/** A control word with its number, a byte of text, or the start or end of a group. */
type Token =
  | { type: 'open' }
  | { type: 'close' }
  | { type: 'word'; word: string; number: number | null }
  | { type: 'byte'; byte: number };

function* tokensOf(bytes: Uint8Array): Generator<Token> {
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
  const control = /\\(?:([a-zA-Z]{1,40})(-?\d{1,10})? ?|'([\da-fA-F]{2})|([\s\S]))/y;
  for (let at = 0; at < source.length; ) {
    const character = source[at];
    if (character === '{' || character === '}') {
      yield { type: character === '{' ? 'open' : 'close' };
      at += 1;
    } else if (character === '\\') {
      control.lastIndex = at;
      const match = control.exec(source);
      if (!match) return;
      at = control.lastIndex;
      const [, word, number, byte, symbol = ''] = match;
      if (byte !== undefined) yield { type: 'byte', byte: Number.parseInt(byte, 16) };
      else if (word === 'bin') at += Math.max(Number(number ?? 0), 0);
      else yield { type: 'word', word: word ?? symbol, number: number === undefined ? null : Number(number) };
    } else {
      if (character !== '\r' && character !== '\n') yield { type: 'byte', byte: source.charCodeAt(at) };
      at += 1;
    }
  }
}

/**
 * Returns the text of an RTF document (version 1.9) as Markdown: headings, lists with their numbers, tables, notes,
 * comments, text boxes, headers and footers. Hidden and deleted text is left out.
 */
export function textOfRtf(bytes: Uint8Array): string {
  const reader = new RtfReader();
  let isFirst = true;
  for (const token of tokensOf(bytes)) {
    if (isFirst && token.type !== 'open') throw new UnreadableError('could not be read');
    isFirst = false;
    reader.take(token);
  }
  return reader.end();
}

class RtfReader {
  private group: Group = {
    ...{ target: 'body', font: -1, fallback: 1, isHidden: false, isInTable: false, outline: null },
  };
  private readonly groups: Group[] = [];
  private codePage = 1252;
  private defaultFont = -1;
  private readonly fonts = new Map<number, { charset: number; name: string }>();
  /** Bytes that have not been decoded yet. */
  private bytes: number[] = [];
  /** Number of fallback characters after a Unicode character that are still to be skipped. */
  private left = 0;
  /** Whether the group has just begun with the mark for ignorable groups. */
  private isOptional = false;
  private length = 0;

  private readonly blocks = new Blocks();
  private readonly margins: Record<'header' | 'footer', Set<string>> = { header: new Set(), footer: new Set() };
  private readonly texts: Record<Target, string> = {
    ...{ body: '', header: '', footer: '', footnote: '', annotation: '', none: '', fonts: '' },
  };
  private notes: string[] = [];
  private noteCount = 0;
  private cells: string[] = [];
  private rows: string[][] = [];

  take(token: Token): void {
    if (token.type === 'byte') {
      if (this.left > 0) this.left -= 1;
      else this.bytes.push(token.byte);
      return;
    }
    this.flushBytes();
    if (token.type === 'open') {
      if (this.groups.length >= maxDepth) throw new UnreadableError('is nested too deeply');
      this.groups.push({ ...this.group });
      this.left = 0;
      this.isOptional = false;
    } else if (token.type === 'close') this.close();
    else this.control(token.word, token.number);
  }

  /** Decodes the collected bytes with the code page of their font. A single byte can be half of a character. */
  private flushBytes(): void {
    if (this.bytes.length === 0) return;
    const bytes = Buffer.from(this.bytes.splice(0));
    const font = this.fonts.get(this.group.font);
    if (font?.charset === symbolCharset)
      for (const byte of bytes) this.say(symbolOf(font.name, byte.toString(16))?.string ?? String.fromCharCode(byte));
    else this.say(iconv.decode(bytes, encodingOf(charsets[font?.charset ?? -1] ?? this.codePage)));
  }

  /** Writes a UTF-16 code unit. Symbol fonts use code units in the private use area. */
  private sayUnit(unit: number): void {
    const font = this.fonts.get(this.group.font);
    const isPrivate = unit >= 0xf020 && unit <= 0xf0ff;
    const known = isPrivate && font ? symbolOf(font.name, (unit & 0xff).toString(16)) : undefined;
    this.say(known?.string ?? String.fromCharCode(unit));
  }

  private say(text: string): void {
    const { target, isHidden } = this.group;
    if (target === 'none' || isHidden) return;
    this.texts[target] += text;
    this.length += text.length;
    checkLength(this.length);
  }

  private close(): void {
    const { target, font } = this.group;
    const outer = this.groups.pop();
    if (!outer) return;
    this.group = outer;
    this.left = 0;
    const text = this.texts[target].trim();
    if (target === 'fonts') this.nameFont(font, text);
    else if (target === outer.target) return;
    if (target !== 'body') this.texts[target] = '';
    if (text === '' || target === 'fonts') return;
    if (target === 'header' || target === 'footer') this.margins[target].add(text);
    else if (target === 'annotation') this.notes.push(`Comment: ${text}`);
    else if (target === 'footnote') {
      const mark = `[^${++this.noteCount}]`;
      this.notes.push(`${mark}: ${text}`);
      this.say(mark);
    }
  }

  private nameFont(font: number, text: string): void {
    const known = this.fonts.get(font);
    if (known) known.name = text.replace(/;.*$/s, '').trim();
  }

  private control(word: string, number: number | null): void {
    if (word === '*') {
      this.isOptional = true;
      return;
    }
    const isOptional = this.isOptional;
    this.isOptional = false;
    if (this.left > 0 && !/^(?:u|uc|par)$/.test(word)) {
      this.left -= 1;
      return;
    }
    if (isOptional && !known.has(word)) {
      this.group.target = 'none';
      return;
    }
    if (this.group.target === 'none' && word !== 'ud') return;
    const character = characters[word];
    if (character !== undefined) this.say(character);
    else if (word === 'u') {
      this.sayUnit((number ?? 0) & 0xffff);
      this.left = this.group.fallback;
    } else if (this.group.target === 'fonts') this.fontProperty(word, number);
    else this.property(word, number);
  }

  private fontProperty(word: string, number: number | null): void {
    if (word === 'f') {
      this.group.font = number ?? 0;
      this.fonts.set(this.group.font, { charset: 1, name: '' });
    } else if (word === 'fcharset') {
      const font = this.fonts.get(this.group.font);
      if (font) font.charset = number ?? 0;
    }
  }

  private property(word: string, number: number | null): void {
    const { group } = this;
    switch (word) {
      case 'fonttbl':
        group.target = 'fonts';
        break;
      case 'ansicpg':
        this.codePage = number ?? 1252;
        break;
      case 'mac':
      case 'pc':
      case 'pca':
        this.codePage = codePages[word];
        break;
      case 'deff':
        this.defaultFont = number ?? 0;
        group.font = this.defaultFont;
        break;
      case 'f':
        group.font = number ?? 0;
        break;
      case 'plain':
        group.font = this.defaultFont;
        group.isHidden = false;
        break;
      case 'uc':
        group.fallback = Math.min(Math.max(number ?? 1, 0), 20);
        break;
      case 'v':
      case 'deleted':
        group.isHidden = number !== 0;
        break;
      case 'ud':
        group.target = this.groups.at(-2)?.target ?? 'body';
        break;
      case 'header':
      case 'headerl':
      case 'headerr':
      case 'headerf':
        group.target = 'header';
        break;
      case 'footer':
      case 'footerl':
      case 'footerr':
      case 'footerf':
        group.target = 'footer';
        break;
      case 'footnote':
      case 'annotation':
        group.target = word;
        break;
      case 'intbl':
        group.isInTable = true;
        break;
      case 'pard':
        group.isInTable = false;
        group.outline = null;
        break;
      case 'outlinelevel':
        group.outline = number ?? 0;
        break;
      case 'cell':
        this.cells.push(this.texts.body);
        this.texts.body = '';
        break;
      case 'row':
        this.rows.push(this.cells);
        this.cells = [];
        break;
      case 'par':
      case 'sect':
      case 'page':
      case '\n':
      case '\r':
        this.paragraph();
        break;
      default:
        if (skipped.has(word)) group.target = 'none';
    }
  }

  private paragraph(): void {
    const { target } = this.group;
    if (target !== 'body') {
      this.say('\n');
      return;
    }
    if (this.group.isInTable || this.cells.length > 0) {
      this.say(' ');
      return;
    }
    this.flushTable();
    this.flushBody();
  }

  private flushBody(): void {
    const text = this.texts.body;
    const { outline } = this.group;
    this.texts.body = '';
    if (outline !== null && outline < 9) this.blocks.add(heading(outline + 1, text));
    // List items are written as their number, a tab and the text.
    else if (/^\s*(?:[•·o▪-]|\(?\w{1,8}[.)])\t/.test(text))
      this.blocks.add(
        text
          .trim()
          .replace('\t', ' ')
          .replace(/^[•·o▪]/, '-'),
        { isItem: true },
      );
    else this.blocks.add(text.replace(/[ \t]+$/gm, ''));
    for (const note of this.notes.splice(0)) this.blocks.add(note);
  }

  private flushTable(): void {
    const rows = this.rows.splice(0);
    checkLength(rows.length * rows.reduce((most, row) => Math.max(most, row.length), 0));
    this.blocks.add(table(rows.map((row) => row.map(oneLine))));
  }

  end(): string {
    this.flushBytes();
    if (this.cells.length > 0) this.rows.push(this.cells.splice(0));
    this.flushTable();
    this.flushBody();
    return [...this.margins.header, this.blocks.toString(), ...this.margins.footer].filter(Boolean).join('\n\n');
  }
}

function encodingOf(codePage: number): string {
  const name = codePage === 65001 ? 'utf-8' : codePage === 10000 ? 'macroman' : `cp${codePage}`;
  return iconv.encodingExists(name) ? name : 'windows-1252';
}
