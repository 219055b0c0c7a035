import { childrenOf, type Element, find } from './xml.ts';

/** Returns the value of a property of an element. */
export const valueAt = (element: Element | undefined, name: string): string | undefined =>
  find(element, name)?.attributes['w:val'];
/** Returns whether an on/off property is on. A property without a value is on. */
export const isOn = (element: Element | undefined, name: string): boolean => {
  const found = find(element, name);
  return found !== undefined && !/^(?:0|false|off|none)$/.test(found.attributes['w:val'] ?? '');
};
export const numberOf = (text: string | undefined): number | null => (text === undefined ? null : Number(text) || 0);
/** Returns the level of a list, limited to the range from 0 to 8. */
export const levelOf = (text: string | undefined): number => Math.min(Math.max(numberOf(text) ?? 0, 0), 8);

export interface Style {
  name: string;
  basedOn: string | null;
  outline: number | null;
  numId: string | null;
  level: number | null;
  isHidden: boolean;
}

/** The styles of a Word document (ECMA-376, part 1, section 17.7). */
export class WordStyles {
  /** The list of each numbering style. */
  readonly lists: ReadonlyMap<string, string>;
  private readonly byId: ReadonlyMap<string, Style>;

  constructor(root: Element | null) {
    this.byId = stylesOf(root);
    this.lists = numberingStyles(root);
  }

  /** Returns a value from a style, or from the nearest style that it is based on. */
  inherit<T>(id: string | null, says: (style: Style) => T | null): { value: T } | null {
    const seen = new Set<string>();
    for (let at = id; at !== null && !seen.has(at); ) {
      seen.add(at);
      const style = this.byId.get(at);
      if (!style) return null;
      const value = says(style);
      if (value !== null) return { value };
      at = style.basedOn;
    }
    return null;
  }
}

function stylesOf(root: Element | null): Map<string, Style> {
  return new Map(
    childrenOf(root)
      .filter(({ name }) => name === 'w:style')
      .map((style) => {
        const properties = find(style, 'w:pPr');
        const level = valueAt(find(properties, 'w:numPr'), 'w:ilvl');
        return [
          style.attributes['w:styleId'] ?? '',
          {
            name: valueAt(style, 'w:name') ?? '',
            basedOn: valueAt(style, 'w:basedOn') ?? null,
            outline: numberOf(valueAt(properties, 'w:outlineLvl')),
            numId: valueAt(find(properties, 'w:numPr'), 'w:numId') ?? null,
            level: level === undefined ? null : levelOf(level),
            isHidden: isOn(find(style, 'w:rPr'), 'w:vanish'),
          },
        ];
      }),
  );
}

/** The list of each numbering style. */
const numberingStyles = (root: Element | null): Map<string, string> =>
  new Map(
    childrenOf(root).flatMap((style): [string, string][] => {
      const numId = valueAt(find(style, 'w:pPr', 'w:numPr'), 'w:numId');
      const isNumbering = style.attributes['w:type'] === 'numbering';
      return isNumbering && numId !== undefined ? [[style.attributes['w:styleId'] ?? '', numId]] : [];
    }),
  );
