import type { NumberedHit } from './events.ts';

export type CitedPart = { type: 'text'; text: string } | { type: 'citation'; number: number; documentId: string };

/**
 * What is looked for: code, in which brackets are not citations, and the markers that a model may write: `[1]`,
 * `[1, 2]`, `[[1]]`, each perhaps followed by `(link)`, which is replaced: links come from documents, never from it.
 */
const token = /(?<ticks>`+)|(?<!\\)\[\[?(?<numbers>\d{1,4}(?:\s*,\s*\d{1,4})*)\]?\](\([^()\s]*\))?/;
/** The beginning of one of these at the end of what has arrived. Longer than that, it is text. */
const unfinished = /`+$|\\$|\[\[?[\d,\s]{0,40}$|\[\[?\d[\d,\s]{0,40}\]{1,2}(\([^()\s]{0,2000})?$/;
/** The same, with the blank before a marker that is to be dropped. */
const unfinishedAfterBlank = new RegExp(` (?:${unfinished.source})|${unfinished.source}| $`);
/** Where code ends: at as many backticks as began it; a span, as opposed to a fence, also at the end of its paragraph. */
const codeEnd = (ticks: string): RegExp => (ticks.length < 3 ? new RegExp(`(?<!\`)${ticks}(?!\`)|\\n\\n`) : new RegExp(`${ticks}\`*`));

/** Parentheses would end the Markdown link early. */
const linkTarget = (link: string | null): string => (link ?? '').replaceAll('(', '%28').replaceAll(')', '%29').replaceAll(' ', '%20');

/**
 * Turns the markers of a streamed answer into `[[n]](link)`. A marker is held back until it is whole, its citation
 * comes before the text that uses it, once per document, and a number that stands for nothing stays plain text.
 */
export class CitationStream {
  private held = '';
  /** The backticks of the code that the text is in; empty outside. */
  private code = '';
  private readonly cited = new Set<number>();
  private readonly documents: Map<number, NumberedHit>;

  constructor(
    hits: readonly NumberedHit[],
    /** false drops the markers, and tells of no citation. */
    private readonly include: boolean,
  ) {
    this.documents = new Map([...hits].reverse().map((hit) => [hit.number, hit]));
  }

  push(delta: string): CitedPart[] {
    return this.drain(this.held + delta, false);
  }

  /** What was held back when the model stopped. */
  end(): CitedPart[] {
    return this.drain(this.held, true);
  }

  private drain(input: string, final: boolean): CitedPart[] {
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
      const open = final ? null : (this.code ? /`+$|\n$/ : this.include ? unfinished : unfinishedAfterBlank).exec(rest);
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
      rest = rest.slice(next.index + next[0].length);
      const numbers = (next.groups?.numbers ?? '').split(',').map(Number);
      if (next.groups?.ticks || this.code) {
        this.code = this.code ? '' : (next.groups?.ticks ?? '');
        text += next[0];
      } else if (!numbers.every((number) => this.documents.has(number))) {
        text += next[0];
      } else if (this.include) {
        flush();
        for (const number of numbers) parts.push(...this.cite(number));
      } else {
        text = text.replace(/ $/, '');
      }
    }
    flush();
    return parts;
  }

  private cite(number: number): CitedPart[] {
    const hit = this.documents.get(number);
    if (!hit) return [];
    const link: CitedPart = { type: 'text', text: `[[${number}]](${linkTarget(hit.link)})` };
    if (this.cited.has(number)) return [link];
    this.cited.add(number);
    return [{ type: 'citation', number, documentId: hit.documentId }, link];
  }
}

/** An answer without its `[[n]](link)` markers. */
export const withoutCitations = (answer: string): string => answer.replace(/ ?\[\[\d+\]\]\([^()]*\)/g, '');

/** Numbers the passages by document, in order of rank: passages of one document share its number. */
export function numberHits<H extends { documentId: string }>(hits: readonly H[]): (H & { number: number })[] {
  const numbers = new Map<string, number>();
  return hits.map((hit) => {
    const number = numbers.get(hit.documentId) ?? numbers.size + 1;
    numbers.set(hit.documentId, number);
    return { ...hit, number };
  });
}
