import { oneLine, table } from './markdown.ts';
import { formatNumber } from './number-format.ts';
import type { OfficePackage } from './office-package.ts';
import { descendants, type Element, elementsOf, find, textWithin } from './xml.ts';

/** A paragraph of DrawingML (ECMA-376, part 1, chapter 21), the format of slides, diagrams and shapes. */
export interface DrawingParagraph {
  text: string;
  /** Indentation level, starting at 0. */
  level: number;
  /** The list marker: `-`, a number, or empty. */
  label: string;
}

/** Returns the paragraphs of a text body, with its numbering. Paragraphs without text are left out. */
export function drawingParagraphs(body: Element): DrawingParagraph[] {
  const numbers: number[] = [];
  return [...descendants(body, 'a:p')].flatMap((paragraph) => {
    const text = runsOf(paragraph).replace(/[ \t]+$/gm, '');
    if (text.trim() === '') return [];
    const properties = find(paragraph, 'a:pPr');
    const level = Math.min(Math.max(Math.trunc(Number(properties?.attributes.lvl ?? 0)) || 0, 0), 8);
    const numbered = find(properties, 'a:buAutoNum');
    numbers.length = level + 1;
    numbers[level] = numbered ? (numbers[level] ?? Number(numbered.attributes.startAt ?? 1) - 1) + 1 : 0;
    const label = numbered ? `${numbers[level]}.` : find(properties, 'a:buChar') ? '-' : '';
    return { text, level, label };
  });
}

/** Returns the text of runs, line breaks and fields. */
function runsOf(element: Element): string {
  return elementsOf(element)
    .map((child) => {
      if (child.name === 'a:t' || child.name === 'm:t') return textWithin(child);
      if (child.name === 'a:br') return '\n';
      if (child.name === 'a:tab') return '\t';
      return /^a:(?:pPr|rPr|endParaRPr)$/.test(child.name) ? '' : runsOf(child);
    })
    .join('');
}

/** Returns all text of a drawing part, one paragraph per line. */
export const drawingText = (element: Element): string =>
  [...descendants(element, 'a:p')]
    .map((paragraph) => oneLine(runsOf(paragraph)))
    .filter(Boolean)
    .join('\n');

/**
 * Returns the text of a graphic in a part: the title, axes and values of a chart as a table, or the texts of a diagram.
 * Returns an empty text for a picture.
 */
export function graphicText(parts: OfficePackage, part: string, graphic: Element): string {
  const relations = parts.relationsOf(part);
  const target = (id: string | undefined) => parts.read(relations.get(id ?? '')?.target);
  const texts: string[] = [];
  for (const chart of [...descendants(graphic, 'c:chart'), ...descendants(graphic, 'cx:chart')]) {
    const root = target(chart.attributes['r:id']);
    if (root) texts.push(chartText(root));
  }
  for (const diagram of descendants(graphic, 'dgm:relIds')) {
    const root = target(diagram.attributes['r:dm']);
    if (root) texts.push(diagramText(root));
  }
  return texts.filter(Boolean).join('\n\n');
}

/** Returns the texts of a diagram (SmartArt), one entry per line. */
const diagramText = (root: Element): string =>
  [...descendants(root, 'dgm:t')]
    .map((text) => oneLine(drawingText(text)))
    .filter(Boolean)
    .map((text) => `- ${text}`)
    .join('\n');

/**
 * Returns the title and the axis titles of a chart, and its values as a table with a row for each category and a column
 * for each series.
 */
export function chartText(root: Element): string {
  const titles = [...descendants(root, 'c:title'), ...descendants(root, 'cx:title')]
    .map((title) => oneLine(drawingText(title)) || oneLine(pointsOf(title).join(' ')))
    .filter(Boolean);
  const series = [...descendants(root, 'c:ser')];
  const columns = series.map((each) => pointsOf(find(each, 'c:val') ?? find(each, 'c:yVal')));
  const [categories = []] = series.map((each) => pointsOf(find(each, 'c:cat') ?? find(each, 'c:xVal')));
  const names = series.map((each) => pointsOf(find(each, 'c:tx')).join(' '));
  const count = Math.max(0, categories.length, ...columns.map((column) => column.length));
  const rows = Array.from({ length: count }, (_, at) => [
    categories[at] ?? '',
    ...columns.map((column) => column[at] ?? ''),
  ]);
  const points = [...descendants(root, 'cx:pt')].map((point) => oneLine(textWithin(point))).filter(Boolean);
  return [...titles, series.length > 0 ? table([['', ...names], ...rows]) : '', points.join(', ')]
    .filter(Boolean)
    .join('\n\n');
}

/** Returns the cached values of a reference, by index. Values with an unreasonably large index are ignored. */
function pointsOf(reference: Element | undefined): string[] {
  if (!reference) return [];
  const points: string[] = [];
  const pattern = [...descendants(reference, 'c:formatCode')].map(textWithin)[0] ?? 'General';
  for (const point of descendants(reference, 'c:pt')) {
    const index = Number(point.attributes.idx ?? points.length);
    if (!(index >= 0 && index < 10_000)) continue;
    const value = textWithin(find(point, 'c:v'));
    points[index] = /^-?[\d.]+(?:e[+-]?\d+)?$/i.test(value) ? formatNumber(pattern, Number(value)) : value;
  }
  const direct = points.length === 0 ? textWithin(find(reference, 'c:v')) : '';
  return direct ? [direct] : Array.from(points, (point) => point ?? '');
}
