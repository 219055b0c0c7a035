import { valueAt } from './word-styles.ts';
import { type Element, elementsOf, find } from './xml.ts';

/** The numbering of a paragraph, defined by the paragraph or its style. */
export interface NumberReference {
  numId: string;
  level: number;
}

interface Level {
  start: number;
  format: string;
  /** Label template, such as `%1.%2)`: the numbers of levels with the text around them. */
  text: string;
  /** Whether all numbers are written in Arabic digits. */
  isLegal: boolean;
  /** Whether counting continues after a new item at a higher level. */
  neverRestarts: boolean;
  style: string | null;
}

interface List {
  /** Lists with the same abstract definition share their counters. */
  abstractId: string;
  levels: ReadonlyMap<number, Level>;
  /** Levels that this list restarts, with their first numbers. */
  starts: ReadonlyMap<number, number>;
}

function levelOf(element: Element): Level {
  return {
    start: Number(valueAt(element, 'w:start') ?? 1) || 0,
    format: valueAt(element, 'w:numFmt') ?? 'decimal',
    text: valueAt(element, 'w:lvlText') ?? '',
    isLegal: find(element, 'w:isLgl') !== undefined,
    neverRestarts: valueAt(element, 'w:lvlRestart') === '0',
    style: valueAt(element, 'w:pStyle') ?? null,
  };
}

const levelsOf = (definition: Element): Map<number, Level> =>
  new Map(
    elementsOf(definition)
      .filter(({ name }) => name === 'w:lvl')
      .map((level) => [Number(level.attributes['w:ilvl'] ?? 0), levelOf(level)]),
  );

/** Computes the list numbers of a Word document as Word shows them. */
export class WordNumbering {
  private readonly lists = new Map<string, List>();
  private readonly counters = new Map<string, (number | undefined)[]>();
  private readonly started = new Set<string>();

  /** `styleLists` maps each numbering style to its list. */
  constructor(root: Element | null, styleLists: ReadonlyMap<string, string>) {
    const all = root ? elementsOf(root) : [];
    const definitions = new Map(
      all
        .filter(({ name }) => name === 'w:abstractNum')
        .map((each) => [each.attributes['w:abstractNumId'] ?? '', each]),
    );
    const nums = new Map(
      all.filter(({ name }) => name === 'w:num').map((each) => [each.attributes['w:numId'] ?? '', each]),
    );
    for (const [numId, num] of nums) {
      let abstractId = valueAt(num, 'w:abstractNumId') ?? '';
      // A definition can consist only of a reference to a numbering style.
      const linked = nums.get(styleLists.get(valueAt(definitions.get(abstractId), 'w:numStyleLink') ?? '') ?? '');
      abstractId = valueAt(linked, 'w:abstractNumId') ?? abstractId;
      const definition = definitions.get(abstractId);
      const levels = definition ? levelsOf(definition) : new Map<number, Level>();
      const starts = new Map<number, number>();
      for (const override of elementsOf(num).filter(({ name }) => name === 'w:lvlOverride')) {
        const level = Number(override.attributes['w:ilvl'] ?? 0);
        const own = find(override, 'w:lvl');
        if (own) levels.set(level, levelOf(own));
        const start = valueAt(override, 'w:startOverride');
        if (start !== undefined) starts.set(level, Number(start) || 0);
      }
      this.lists.set(numId, { abstractId, levels, starts });
    }
  }

  /** Returns the level of a list that belongs to a paragraph style, or 0 if there is no such level. */
  levelOfStyle(numId: string, style: string): number {
    const levels = [...(this.lists.get(numId)?.levels ?? [])];
    return levels.find(([, level]) => level.style === style)?.[0] ?? 0;
  }

  /** Counts one more item and returns its label: `1.`, `-` for a bullet, or null for an item that is not in a list. */
  next({ numId, level: at }: NumberReference): string | null {
    const list = this.lists.get(numId);
    const level = list?.levels.get(at);
    if (!list || !level) return null;
    const numbers = this.numbersOf(numId, list, at, level);
    if (level.format === 'bullet') return '-';
    if (level.format === 'none') return level.text.replace(/%\d/g, '').trim();
    const written = (place: number): string => {
      const { format, start } = list.levels.get(place) ?? { format: 'decimal', start: 1 };
      return writeNumber(numbers[place] ?? start, level.isLegal ? 'decimal' : format);
    };
    return level.text.replace(/%([1-9])/g, (_match, place: string) => written(Number(place) - 1)).trim();
  }

  private numbersOf(numId: string, { abstractId, levels, starts }: List, at: number, level: Level) {
    const numbers = this.counters.get(abstractId) ?? [];
    this.counters.set(abstractId, numbers);
    const restart = starts.get(at);
    if (restart !== undefined && !this.started.has(`${numId} ${at}`)) numbers[at] = restart;
    else numbers[at] = (numbers[at] ?? level.start - 1) + 1;
    this.started.add(`${numId} ${at}`);
    for (let below = at + 1; below < numbers.length; below++)
      if (!levels.get(below)?.neverRestarts) numbers[below] = undefined;
    return numbers;
  }
}

/** Writes a number in a WordprocessingML format (`ST_NumberFormat`). Unknown formats are written in Arabic digits. */
export function writeNumber(number: number, format: string): string {
  if (format === 'decimalZero') return String(number).padStart(2, '0');
  if (format === 'ordinal') return `${number}${ordinalEnd(number)}`;
  if (/letter$/i.test(format) && number > 0) {
    const letters = String.fromCharCode(97 + ((number - 1) % 26)).repeat(
      Math.min(Math.floor((number - 1) / 26) + 1, 100),
    );
    return format.startsWith('upper') ? letters.toUpperCase() : letters;
  }
  if (/roman$/i.test(format) && number > 0 && number < 4000)
    return format.startsWith('upper') ? roman(number) : roman(number).toLowerCase();
  return String(number);
}

function ordinalEnd(number: number): string {
  if (number % 100 >= 11 && number % 100 <= 13) return 'th';
  return ['th', 'st', 'nd', 'rd'][number % 10] ?? 'th';
}

const romans = Object.entries({
  ...{ M: 1000, CM: 900, D: 500, CD: 400, C: 100, XC: 90, L: 50, XL: 40, X: 10, IX: 9, V: 5, IV: 4, I: 1 },
});

function roman(number: number): string {
  let written = '';
  let rest = number;
  for (const [letters, value] of romans)
    while (rest >= value) {
      written += letters;
      rest -= value;
    }
  return written;
}
