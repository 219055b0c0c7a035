import { searchForm } from '../text/normalize.ts';
import type { Passage } from './passages.ts';

/** A piece of Markdown from the passage with this number, without images. */
export interface Quote {
  number: number;
  markdown: string;
}

/** Maximum length of all quotes together, and of one unit. */
const ALL_QUOTES = 1200;
const ONE_UNIT = 600;
/** Maximum number of terms of a question that are used. */
const MOST_TERMS = 64;
const MOST_UNITS = 5;
const MOST_PASSAGES = 3;
/** A further unit is quoted when it has at least this share of the best score. */
const WORTHWHILE = 0.5;
/** The weight of a term by its position. */
const IN_TITLE = 0.2;
const IN_HEADING = 0.5;
const IN_TAIL = 0.8;

const STOP_WORDS = new Set(
  (
    'a about after all also am an and any are as at be been before but by can could did do does doing for from get ' +
    'give had has have he her here him his how i if in into is it its just know let like may me mean might more most ' +
    'must my need no not of on one or our please shall she should show so some such tell than that the their them ' +
    'then there these they this those to us use used using want was way we were what when where whether which who ' +
    'whom whose why will with would you your'
  ).split(' '),
);

// Scripts without spaces between words are compared by pairs of characters.
const UNSPACED = String.raw`[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]`;
const WORDS = new RegExp(String.raw`${UNSPACED}+|(?:(?!${UNSPACED})[\p{L}\p{M}])+|\p{N}+`, 'gu');
const STARTS_UNSPACED = new RegExp(`^${UNSPACED}`, 'u');

/** Removes common English endings, so that "creates", "created" and "creation" match "create". */
function stem(word: string): string {
  if (!/^[a-z]{4,}$/.test(word)) return word;
  return word
    .replace(/ies$/, 'y')
    .replace(/(?<![sui])s$/, '')
    .replace(/(?<=[a-z]{3}[st])ion$/, '')
    .replace(/(?<=[a-z]{3})(?:ing|ed)$/, '')
    .replace(/([bdgmnprt])\1$/, '$1')
    .replace(/(?<=[a-z]{3})e$/, '');
}

/**
 * Returns the significant words of a text in order: in lower case, stemmed, with identifiers split at changes of case.
 */
function termsOf(text: string): string[] {
  const words = searchForm(text)
    .replace(/(?<=[\p{Ll}\p{N}])(?=\p{Lu})/gu, ' ')
    .toLowerCase();
  return (words.match(WORDS) ?? []).flatMap((word) => {
    if (!STARTS_UNSPACED.test(word)) return STOP_WORDS.has(word) ? [] : [stem(word)];
    const characters = Array.from(word);
    return characters.length < 2 ? characters : characters.slice(1).map((next, index) => `${characters[index]}${next}`);
  });
}

interface Block {
  kind: 'heading' | 'code' | 'step' | 'item' | 'row' | 'prose';
  text: string;
  /** Level of a heading, from 1. */
  level: number;
  /** For a table row: the two header lines of the table. */
  header: string;
  /** Whether there is no empty line before it. */
  tight: boolean;
}

const FENCE = /^(\s*)(`{3,}|~{3,})/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*)$/;
const ITEM = /^\s*(?:[-*+]|(\d{1,9})[.)])\s+(?=\S)/;
const TABLE_RULE = /^[|\s:-]+$/;
const TAGS_ONLY = /^(?:<[^>]*>\s*)+$/;
const IMAGE = /!\[([^\]]{0,200})\]\([^)]{0,500}\)/g;

/** Returns whether a line of plain text continues the previous one; lines of values or commands do not. */
const goesOn = (before: string, line: string) => !announces(before) && (before.length >= 40 || /^\p{Ll}/u.test(line));

/** Splits a Markdown or plain text into blocks. Code, list items, table rows and short numbered lists stay whole. */
function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  let fence: { indent: number; mark: string; lines: string[] } | null = null;
  /** The last line, while the next one can belong to the same block. */
  let open: string | null = null;
  let tight = false;
  const add = (kind: Block['kind'], text: string, rest: Partial<Block> = {}) => {
    blocks.push({ kind, text, level: 0, header: '', tight, ...rest });
    tight = true;
  };

  for (const raw of markdown.split(/\r?\n/)) {
    const line = raw.trim();
    if (fence) {
      const indent = Math.min(fence.indent, raw.length - raw.trimStart().length);
      fence.lines.push(raw.slice(indent));
      if (!line.startsWith(fence.mark)) continue;
      add('code', fence.lines.join('\n'));
      fence = null;
      continue;
    }
    const last = tight ? blocks.at(-1) : undefined;
    const [, indent, mark] = FENCE.exec(raw) ?? [];
    const [, marks, heading] = HEADING.exec(raw) ?? [];
    const item = ITEM.exec(raw);
    const words = line.replace(IMAGE, '$1');
    if (mark) {
      fence = { indent: indent?.length ?? 0, mark, lines: [line] };
      open = null;
    } else if (line.length > 1 && line.startsWith('|') && line.endsWith('|')) {
      if (!TABLE_RULE.test(line)) add('row', line, { header: last?.header ?? '' });
      else if (last?.kind === 'row') Object.assign(last, { header: `${last.text}\n${line}`, text: '' });
      open = null;
    } else if (!/[\p{L}\p{N}]/u.test(words) || TAGS_ONLY.test(words)) {
      open = null;
      tight = false;
    } else if (marks && heading) {
      add('heading', heading, { level: marks.length });
      open = null;
    } else if (item) {
      const step = item[1] !== undefined;
      if (step && last?.kind === 'step' && last.text.length + words.length < ONE_UNIT) last.text += `\n${words}`;
      else add(step ? 'step' : 'item', words);
      open = line;
    } else if (open !== null && last && (last.kind !== 'prose' || goesOn(open, line))) {
      last.text += ` ${words}`;
      open = line;
    } else {
      add('prose', words);
      open = line;
    }
  }
  // A chunk can end within its code.
  if (fence) add('code', [...fence.lines, fence.mark].join('\n'));
  return blocks.filter((block) => block.text !== '');
}

/** The smallest unit of a quote: a sentence, list item, table row or code block with the block that it introduces. */
interface Unit {
  passage: Passage;
  /** Units with adjacent positions are quoted together. */
  place: number;
  text: string;
  /** The code block, list, table or answer that belongs to the sentence. */
  tail: string;
  /** The kind of the tail, or of the unit when it has none. */
  kind: Block['kind'];
  header: string;
  /** The text between the previous unit and this one. */
  glue: string;
  /** The terms of its title and headings with their weights. */
  around: ReadonlyMap<string, number>;
}

/** A sentence below this length ("Yes.") does not end a unit. */
const INTERJECTION = 10;
const SENTENCE_END =
  /(?<=[.!?…]["'”’)\]*_`]{0,3})(?<!\b(?:e\.g|i\.e|vs|cf|Mr|Mrs|Ms|Dr|No)\.)\s+(?=["'“‘([*_`]{0,3}[^\p{Ll}\s])|(?<=[。！？])/u;
const PIECES = /.{1,400}(?:\s|$)|.{1,400}/gsu;

/** Returns the sentences of a block. A sentence that is too long for a quote is split, at whitespace if possible. */
function sentencesOf({ kind, text, header }: Block): string[] {
  if (kind === 'code' || kind === 'row') return header.length + text.length > ONE_UNIT ? [] : [text];
  const sentences = kind === 'prose' ? text.split(SENTENCE_END) : [text];
  return sentences.flatMap((sentence) => (sentence.length > ONE_UNIT ? (sentence.match(PIECES) ?? []) : [sentence]));
}

/** Returns whether a sentence introduces the next block. */
function announces(text: string): boolean {
  return /[:?：？]["'”’)*_`]{0,3}$/.test(text);
}

/**
 * Returns whether a block belongs to the previous unit: code to its sentence, a list or an answer to its introduction.
 */
function belongs(block: Block, unit: Unit): boolean {
  if (unit.text.length + unit.tail.length + block.header.length + block.text.length > ONE_UNIT) return false;
  if (unit.tail) return block.tight && block.kind === unit.kind && ['item', 'step', 'row'].includes(block.kind);
  return block.kind === 'code' || announces(unit.text);
}

function aroundOf(title: string, headings: readonly string[]): Map<string, number> {
  const around = new Map(termsOf(title).map((term) => [term, IN_TITLE]));
  for (const term of headings.flatMap(termsOf)) around.set(term, IN_HEADING);
  return around;
}

function unitsOf(passage: Passage): Unit[] {
  const units: Unit[] = [];
  const headings: string[] = [];
  let around = aroundOf(passage.title, headings);
  /** The previous unit in the same section. */
  let before: Unit | undefined;
  let place = 0;
  for (const block of blocksOf(passage.text)) {
    if (block.kind === 'heading') {
      headings.length = block.level - 1;
      headings.push(block.text);
      around = aroundOf(passage.title, headings);
      before = undefined;
      place += 1;
      continue;
    }
    if (before && belongs(block, before)) {
      before.tail += before.tail ? `\n${block.text}` : [block.header, block.text].filter(Boolean).join('\n');
      before.kind = block.kind;
      continue;
    }
    const { kind, header } = block;
    const outer = block.tight && kind === before?.kind ? '\n' : '\n\n';
    before = undefined;
    let last = '';
    for (const text of sentencesOf(block)) {
      const unfinished = announces(last) || last.length < INTERJECTION;
      if (before && unfinished && before.text.length + text.length < ONE_UNIT) before.text += ` ${text}`;
      else {
        before = { passage, place, text, tail: '', kind, header, glue: before ? ' ' : outer, around };
        units.push(before);
        place += 1;
      }
      last = text;
    }
  }
  return units;
}

interface Candidate {
  unit: Unit;
  /** The terms of the unit's text, in order. */
  terms: string[];
  /** The weight of each term of the question by its position, from 0 to 1. */
  held: Map<string, number>;
  /** Factor of its score: how likely such a unit is an answer. */
  likelihood: number;
}

function candidateOf(unit: Unit, rank: number, asked: readonly string[], wantsSteps: boolean): Candidate {
  const terms = termsOf(`${unit.text}\n${unit.tail}`);
  const text = new Set(termsOf(unit.text));
  const held = new Map<string, number>();
  for (const term of asked) {
    const worth = text.has(term) ? 1 : terms.includes(term) ? IN_TAIL : (unit.around.get(term) ?? 0);
    if (worth > 0) held.set(term, worth);
  }

  const phrases = asked
    .slice(1)
    .filter((term, index) => terms.some((own, at) => own === term && terms[at - 1] === asked[index]));
  const hasSteps = unit.kind === 'code' || unit.kind === 'step';
  let likelihood = (1 + 0.3 * (phrases.length / asked.length)) / (1 + 0.05 * rank);
  if (wantsSteps && hasSteps) likelihood *= 1.3;
  if (!hasSteps && !terms.some((term) => held.has(term))) likelihood *= 0.6;
  if (terms.length < 4 && !unit.tail) likelihood *= 0.7;
  if (announces(unit.text) && !unit.tail) likelihood *= 0.4;
  return { unit, terms, held, likelihood };
}

/** Returns how well each term distinguishes units; the weights of a question add up to 1. */
function rarity(asked: readonly string[], candidates: readonly Candidate[]): Map<string, number> {
  const weights = asked.map((term) => {
    const holders = candidates.filter(({ held }) => held.has(term)).length;
    return holders === 0 ? 0 : Math.log(1 + candidates.length / holders);
  });
  const total = weights.reduce((sum, weight) => sum + weight, 0) || 1;
  return new Map(asked.map((term, index) => [term, (weights[index] ?? 0) / total]));
}

/** Returns the length in characters, including line breaks. */
const lengthOf = ({ text, tail, header }: Unit) => [header, text, tail].join('\n\n').length + 2;

/** Returns whether two candidates have the same text, as in the overlap of two chunks. */
function repeats(one: Candidate, other: Candidate): boolean {
  const [a, b] = [one.terms.join(' '), other.terms.join(' ')];
  return a.includes(b) || b.includes(a);
}

/** Selects the best candidates, best first. Terms that earlier ones cover count less. */
function choose(candidates: readonly Candidate[], weights: ReadonlyMap<string, number>): Unit[] {
  const chosen: Candidate[] = [];
  let least = 0;
  while (chosen.length < MOST_UNITS) {
    const said = new Set(chosen.flatMap(({ terms }) => terms));
    const passages = new Set(chosen.map(({ unit }) => unit.passage));
    const room = ALL_QUOTES - chosen.reduce((sum, { unit }) => sum + lengthOf(unit), 0);
    let best: Candidate | undefined;
    let bestScore = least;
    for (const candidate of candidates) {
      const { unit, held, likelihood } = candidate;
      if (lengthOf(unit) > room || chosen.some((other) => repeats(other, candidate))) continue;
      if (passages.size === MOST_PASSAGES && !passages.has(unit.passage)) continue;
      let score = 0;
      for (const [term, value] of held) score += (weights.get(term) ?? 0) * value * (said.has(term) ? 0.75 : 1);
      score *= likelihood;
      if (score > bestScore) [best, bestScore] = [candidate, score];
    }
    if (!best) break;
    if (chosen.length === 0) least = bestScore * WORTHWHILE;
    chosen.push(best);
  }
  return chosen.map(({ unit }) => unit);
}

/** Converts selected units to quotes: by passage, in the order of the document, adjacent ones together. */
function quotesOf(chosen: readonly Unit[]): Quote[] {
  const quotes: Quote[] = [];
  for (const passage of new Set(chosen.map((unit) => unit.passage))) {
    const units = chosen.filter((unit) => unit.passage === passage).sort((a, b) => a.place - b.place);
    let before: Unit | undefined;
    for (const unit of units) {
      const neighbor = before?.place === unit.place - 1 ? before : undefined;
      const last = quotes.at(-1);
      const header = neighbor && neighbor.header === unit.header ? '' : unit.header;
      const markdown = [header && `${header}\n`, unit.text, unit.tail && `\n\n${unit.tail}`].join('');
      if (neighbor && last) last.markdown += unit.glue + markdown;
      else quotes.push({ number: passage.number, markdown });
      before = unit;
    }
  }
  return quotes;
}

/**
 * Returns the pieces of passages that answer a question best: at most 1200 characters from at most three passages, best
 * passage first. Passages are given best first. If no passage shares a word with the question, returns the start of the
 * first one; an empty list when there is no text.
 */
export function selectQuotes(question: string, passages: readonly Passage[]): Quote[] {
  const asked = [...new Set(termsOf(question))].slice(0, MOST_TERMS);
  const wantsSteps = /\bhow\b/i.test(question);
  const candidates = passages.flatMap((passage, rank) =>
    unitsOf(passage).map((unit) => candidateOf(unit, rank, asked, wantsSteps)),
  );
  const chosen = choose(candidates, rarity(asked, candidates));
  return quotesOf(chosen.length > 0 ? chosen : candidates.slice(0, 1).map(({ unit }) => unit));
}
