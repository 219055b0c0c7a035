import { comparable } from '../../text/normalize.ts';
import { cutText } from '../../unicode.ts';

/** A text of a document, Markdown or plain, with its link. */
export interface Section {
  text: string;
  link?: string | null | undefined;
}

/** A passage: `text === sections[section].text.slice(start, end)`, with offsets in UTF-16 units. */
export interface Chunk {
  /** Position in the whole document, from 0. */
  position: number;
  section: number;
  start: number;
  end: number;
  /** The title and the headings above the passage: "Guide › Keys › Expiry". */
  heading: string;
  text: string;
  link: string | null;
}

/**
 * Part of the content hash of a document, so that a change of these rules splits documents again when they are sent
 * again.
 */
export const chunkerVersion = 2;

/** Returns the number of characters that `estimateTokens` counts as this number of tokens. */
const tokens = (count: number) => count * 4;
const BUDGET = tokens(220);
/** Maximum length of a chunk. Chunks between budget and cap contain a whole code block or table. */
const CAP = tokens(440);
const OVERLAP = tokens(40);
/** Parts below this length contain too little to be found on their own. */
const TINY = tokens(25);
/** Maximum length of a heading; a longer one counts as a paragraph. */
const HEADING = 120;

interface Span {
  start: number;
  end: number;
}

interface Block extends Span {
  kind: 'heading' | 'code' | 'table' | 'prose';
  /** The level of a heading, from 1 to 6, and its text. */
  level: number;
  title: string;
}

/** The text under one heading, including the heading. */
interface Part extends Span {
  path: string[];
  blocks: Block[];
}

/**
 * Splits a document into passages of about 220 tokens: at headings, then paragraphs, then sentences. Adjacent passages
 * under one heading overlap by up to 40 tokens. Code blocks and tables stay whole, with the paragraph before them, up
 * to 440 tokens. Every character that is not whitespace is in some passage.
 */
export function chunkSections(sections: readonly Section[], title: string): Chunk[] {
  const chunks: Chunk[] = [];
  sections.forEach(({ text, link }, section) => {
    for (const part of joinTiny(partsOf(blocksOf(text)))) {
      const heading = headingOf(title, part.path);
      for (const { start, end } of pack(text, unitsOf(text, part)))
        chunks.push({
          position: chunks.length,
          section,
          start,
          end,
          heading,
          text: text.slice(start, end),
          link: link ?? null,
        });
    }
  });
  return chunks;
}

function headingOf(title: string, path: readonly string[]): string {
  const same = comparable(path[0] ?? '').trim() === comparable(title).trim();
  return [title.trim(), ...(same ? path.slice(1) : path)].filter(Boolean).join(' › ');
}

const FENCE = /^\s*(`{3,}(?=[^`]*$)|~{3,})/;
const ATX = /^ {0,3}(#{1,6})(?:[ \t]+(.*))?$/;
const SETEXT = /^ {0,3}(=+|-{2,})$/;

function blocksOf(text: string): Block[] {
  const blocks: Block[] = [];
  /** The block that the next line can continue. */
  let open: Block | null = null;
  let fence: string | null = null;
  const begin = (kind: Block['kind'], { start, end }: Span, heading?: { level: number; title: string }) => {
    const block: Block = { kind, start, end, level: 0, title: '', ...heading };
    blocks.push(block);
    return block;
  };

  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline;
    const line = text.slice(start, end).trimEnd();
    const span: Span = { start, end: start + line.length };
    start = end + 1;

    if (fence !== null && open) {
      open.end = span.end;
      const rest = line.trimStart();
      if (rest.startsWith(fence) && rest.replaceAll(fence.charAt(0), '') === '') fence = open = null;
      continue;
    }
    const mark: string | undefined = FENCE.exec(line)?.[1];
    const atx = ATX.exec(line);
    const setext = open?.kind === 'prose' && SETEXT.exec(line);
    if (mark) {
      open = begin('code', span);
      fence = mark;
    } else if (line === '') {
      open = null;
    } else if (atx) {
      begin('heading', span, { level: atx[1]?.length ?? 1, title: plainHeading(atx[2] ?? '') });
      open = null;
    } else if (setext && open && open.end - open.start <= HEADING && !text.slice(open.start, open.end).includes('\n')) {
      const words = plainHeading(text.slice(open.start, open.end));
      Object.assign(open, { kind: 'heading', end: span.end, level: setext[1]?.startsWith('=') ? 1 : 2, title: words });
      open = null;
    } else {
      const kind = line.trimStart().startsWith('|') ? 'table' : 'prose';
      if (open?.kind === kind) open.end = span.end;
      else open = begin(kind, span);
    }
  }
  return blocks;
}

/** Returns the text of a heading without Markdown. */
function plainHeading(source: string): string {
  const words = cutText(source, 4 * HEADING)
    .replace(/\s#+\s*$/, '')
    .replace(/!?\[([^\][]*)\]\([^()]*\)/g, '$1')
    .replace(/[*`]+/g, '')
    .replace(/\s+/g, ' ')
    .trim();
  return cutText(words, HEADING);
}

function partsOf(blocks: readonly Block[]): Part[] {
  const parts: Part[] = [];
  const above: Block[] = [];
  let part: Part | null = null;
  for (const block of blocks) {
    if (block.kind === 'heading') {
      while ((above.at(-1)?.level ?? 0) >= block.level) above.pop();
      above.push(block);
    }
    if (!part || block.kind === 'heading') {
      part = { ...block, path: above.map(({ title }) => title).filter(Boolean), blocks: [] };
      parts.push(part);
    }
    part.blocks.push(block);
    part.end = block.end;
  }
  return parts;
}

/** Joins a heading without text to the part that follows, and adjacent tiny parts to each other. */
function joinTiny(parts: readonly Part[]): Part[] {
  const joined: Part[] = [];
  /** Whether the last part consists of tiny parts only, and of headings only. */
  let tiny = false;
  let headed = false;
  for (const part of parts) {
    const last = joined.at(-1);
    const small = part.end - part.start <= TINY;
    const shared = last ? commonPath(last.path, part.path) : [];
    const bare = last && last.end - last.start <= BUDGET && shared.length === last.path.length && headed;
    if (last && (bare || (tiny && small && part.end - last.start <= BUDGET))) {
      Object.assign(last, { path: bare ? part.path : shared, end: part.end });
      for (const block of part.blocks) last.blocks.push(block);
      headed &&= hasNoBody(part);
    } else {
      joined.push(part);
      headed = hasNoBody(part);
    }
    tiny = small;
  }
  return joined;
}

const hasNoBody = ({ blocks }: Part) => blocks.every(({ kind }) => kind === 'heading');

function commonPath(one: readonly string[], other: readonly string[]): string[] {
  const differs = one.findIndex((title, index) => title !== other[index]);
  return one.slice(0, differs < 0 ? one.length : differs);
}

/** Returns the smallest pieces of a part, each within the budget, or within the cap when it must stay whole. */
function unitsOf(text: string, part: Part): Block[] {
  const units: Block[] = [];
  for (const block of part.blocks) {
    const whole = block.kind === 'code' || block.kind === 'table';
    const pieces = whole && block.end - block.start <= CAP ? [block] : split(text, block, whole ? LINES : WORDS);
    pieces.forEach((piece, index) => {
      const last = units.at(-1);
      const belongs = index === 0 && (last?.kind === 'heading' || (whole && last?.kind === 'prose'));
      if (last && belongs && piece.end - last.start <= CAP) Object.assign(last, { kind: block.kind, end: piece.end });
      else units.push({ ...block, ...piece });
    });
  }
  return units;
}

/** Fills chunks with units. A chunk that continues another one repeats its last sentences. */
function pack(text: string, units: readonly Block[]): Span[] {
  const chunks: Span[] = [];
  let before: Block | null = null;
  for (const unit of units) {
    const last = chunks.at(-1);
    // A short remainder at the end of a part does not become its own chunk.
    const room = unit.end - unit.start <= TINY ? BUDGET + TINY : BUDGET;
    if (last && unit.end - last.start <= room) {
      last.end = unit.end;
    } else {
      const from = last && before?.kind === 'prose' ? overlapStart(text, last, before) : null;
      const start = from !== null && unit.end - from <= CAP ? from : unit.start;
      chunks.push({ start, end: unit.end });
    }
    before = unit;
  }
  return chunks;
}

const SENTENCE_END = String.raw`[.!?…]["'”’)\]*_\x60]{0,4}\s+(?=[^\p{Ll}\s]|$)|[。！？．]["'”’）」』】]{0,4}\s*`;
const LIST_ITEM = String.raw`\n(?=[ \t]{0,12}(?:[-*+•]|\d{1,3}[.)])[ \t])`;
const SENTENCES = new RegExp(`${SENTENCE_END}|${LIST_ITEM}`, 'gu');

/** Positions where text can be split: the first kind that occurs in the window is used, at its last position. */
const WORDS = [SENTENCES, /\n/g, /[，、；：]/g, /\s/g];
const LINES = [/\n/g, /\s/g];

/**
 * Returns the start of the sentences at the end of a chunk that are short enough to be repeated at the start of the
 * next one.
 */
function overlapStart(text: string, chunk: Span, last: Span): number | null {
  const from = Math.max(last.start, last.end - OVERLAP);
  if (from === last.start && from > chunk.start) return from;
  for (const { index, 0: end } of text.slice(from, last.end).matchAll(SENTENCES)) {
    const start = from + index + end.length;
    if (start < last.end) return start;
  }
  return null;
}

function split(text: string, { start, end }: Span, places: readonly RegExp[]): Span[] {
  const pieces: Span[] = [];
  for (let from = start; from < end; ) {
    const to = end - from <= BUDGET ? end : cutWithin(text, from, places);
    const content = text.slice(from, to);
    const piece = { start: from + content.length - content.trimStart().length, end: from + content.trimEnd().length };
    if (piece.start < piece.end) pieces.push(piece);
    from = to;
  }
  return pieces;
}

/** Returns where to split text that is longer than the budget. Positions in its first quarter are not used. */
function cutWithin(text: string, from: number, places: readonly RegExp[]): number {
  const window = text.slice(from, from + BUDGET);
  for (const place of places) {
    let cut = 0;
    for (const { index, 0: found } of window.matchAll(place)) cut = index + found.length;
    if (cut >= BUDGET / 4) return from + cut;
  }
  return from + cutText(text.slice(from, from + BUDGET + TINY), BUDGET).length;
}
