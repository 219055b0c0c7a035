import type { NumberedHit } from './events.ts';

export type CitedPart = { type: 'text'; text: string } | { type: 'citation'; number: number; documentId: string };

/** The numbers of a marker, with a maximum length; anything longer is text. */
const numbers = String.raw`(?=[\d,\s]{1,40}\])\d{1,4}(?:\s*,\s*\d{1,4})*`;
/**
 * Matches an escaped character, code (in which brackets are not citations), and the markers that a model can write:
 * `[1]`, `[1, 2]`, `[[1]]`, each optionally followed by `(link)`, which is replaced: links come from documents, never
 * from the model. `before` is removed together with a marker.
 */
const tokens = (before: string) =>
  new RegExp(
    String.raw`\\[^]|(?<fence>${'`'}+|~{3,})|${before}\[(?:\[(?<double>${numbers})\]|(?<single>${numbers}))\](?:\([^()\s]{0,2000}\))?`,
  );
const fenceAtEnd = '(?<!`)`+$|(?<!~)~+$';
/** Matches the start of such a token at the end of the text so far. */
const beginnings = (before: string) =>
  new RegExp(
    String.raw`${fenceAtEnd}|\\$|${before}\[\[?[\d,\s]{0,40}$|${before}\[\[?\d[\d,\s]{0,39}\]{1,2}(?:\([^()\s]{0,2000})?$`,
  );
const cited = { token: tokens(''), unfinished: beginnings('') };
/** When markers are dropped, the space before each is dropped too. */
const dropped = { token: tokens(' ?'), unfinished: new RegExp(`${beginnings(' ?').source}| $`) };

/** Maximum length of a fence that is recognized. */
const maxFenceLength = 100;
/** Matches the end of code: as many backticks as at its start; for a span, also the end of its paragraph. */
const codeEnd = (fence: string): RegExp =>
  fence.length < 3
    ? new RegExp(`(?<!\`)${fence}(?!\`)|\\n\\n`)
    : new RegExp(`${fence.slice(0, maxFenceLength)}${fence[0]}*`);
/** Matches the start of that at the end of the text so far. */
const unfinishedEnd = new RegExp(`${fenceAtEnd}|\\n$`);

/**
 * Returns whether the next text can still belong to a token: to backticks at the very end, or to an incomplete link.
 */
const mayGoOn = (token: string, rest: string): boolean =>
  rest === '' || (token.endsWith(']') && /^\([^()\s]{0,2000}$/.test(rest));

/** Escapes characters that would end the Markdown link. */
const linkTarget = (link: string | null): string =>
  (link ?? '').replace(/[\s()<>\\]/g, (character) =>
    character === '(' ? '%28' : character === ')' ? '%29' : encodeURIComponent(character),
  );

/** The fields of a passage that a citation needs. */
type Citable = Pick<NumberedHit, 'number' | 'documentId' | 'link'>;

/**
 * Converts the markers of a streamed answer to `[[n]](link)`. A marker is held back until it is complete, its citation
 * is emitted before the text that uses it, once per document, and a number without a document remains text.
 */
export class CitationStream {
  private held = '';
  /** The backticks that opened the current code; empty outside code. */
  private code = '';
  private readonly told = new Set<number>();
  private readonly documents: Map<number, Citable>;

  constructor(
    hits: readonly Citable[],
    /** False drops the markers and emits no citations. */
    private readonly include: boolean,
  ) {
    this.documents = new Map([...hits].reverse().map((hit) => [hit.number, hit]));
  }

  push(delta: string): CitedPart[] {
    return this.drain(this.held + delta, false);
  }

  /** Returns the text that was held back when the model stopped. */
  end(): CitedPart[] {
    return this.drain(this.held, true);
  }

  private drain(input: string, final: boolean): CitedPart[] {
    const { token, unfinished } = this.include ? cited : dropped;
    const parts: CitedPart[] = [];
    let rest = input;
    let text = '';
    const flush = () => {
      if (text) parts.push({ type: 'text', text });
      text = '';
    };
    this.held = '';
    while (rest !== '') {
      const next = this.code ? codeEnd(this.code).exec(rest) : token.exec(rest);
      const after = next ? rest.slice(next.index + next[0].length) : '';
      // Searched at the end only, so that the cost is linear in the length of the text.
      const open =
        final || (next && !mayGoOn(next[0], after)) ? null : (this.code ? unfinishedEnd : unfinished).exec(rest);
      if (open && (!next || open.index <= next.index)) {
        text += rest.slice(0, open.index);
        this.held = rest.slice(open.index);
        break;
      }
      if (!next) {
        text += rest;
        break;
      }
      text += rest.slice(0, next.index);
      rest = after;
      const { fence = '', double, single } = next.groups ?? {};
      const marked = (double ?? single)?.split(',').map(Number);
      if (!marked) {
        this.code = this.code ? '' : fence;
        text += next[0];
      } else if (!marked.every((number) => this.documents.has(number))) {
        text += next[0];
      } else if (this.include) {
        flush();
        for (const number of marked) parts.push(...this.cite(number));
      }
    }
    flush();
    return parts;
  }

  private cite(number: number): CitedPart[] {
    const hit = this.documents.get(number);
    if (!hit) return [];
    const link: CitedPart = { type: 'text', text: `[[${number}]](${linkTarget(hit.link)})` };
    if (this.told.has(number)) return [link];
    this.told.add(number);
    return [{ type: 'citation', number, documentId: hit.documentId }, link];
  }
}

/** Returns an answer without its `[[n]](link)` markers. */
export function withoutCitations(answer: string, citations: readonly Omit<Citable, 'link'>[]): string {
  const stream = new CitationStream(
    citations.map((citation) => ({ ...citation, link: null })),
    false,
  );
  return [...stream.push(answer), ...stream.end()].map((part) => (part.type === 'text' ? part.text : '')).join('');
}

/** Numbers the passages by document, in order of rank. Passages of one document share a number. */
export function numberHits<H extends { documentId: string }>(hits: readonly H[]): (H & { number: number })[] {
  const numbers = new Map<string, number>();
  return hits.map((hit) => {
    const number = numbers.get(hit.documentId) ?? numbers.size + 1;
    numbers.set(hit.documentId, number);
    return { ...hit, number };
  });
}
