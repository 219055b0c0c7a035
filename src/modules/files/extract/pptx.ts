import { drawingParagraphs, graphicText } from './drawing.ts';
import { Blocks, heading, oneLine, table } from './markdown.ts';
import { OfficePackage } from './office-package.ts';
import { checkLength } from './unreadable.ts';
import { descendants, type Element, elementsOf, find } from './xml.ts';

/** Placeholders that are repeated on every slide: the slide number and the date. */
const repeated = new Set(['sldNum', 'dt']);

/**
 * Returns the text of a presentation as Markdown, slide by slide: the title as a heading, texts with their bullets and
 * numbers, tables, charts and diagrams, and the speaker's notes. Repeated footers are included once.
 */
export function textOfPptx(bytes: Uint8Array): string {
  const parts = OfficePackage.open(bytes);
  const main = parts.main();
  const list = find(parts.read(main) ?? undefined, 'p:sldIdLst');
  const relations = parts.relationsOf(main);
  const blocks = new Blocks();
  const footers = new Set<string>();
  let length = 0;
  for (const { attributes } of list ? elementsOf(list) : []) {
    const part = relations.get(attributes['r:id'] ?? '')?.target;
    const slide = parts.read(part);
    if (!slide || part === undefined) continue;
    const text = textOfSlide(parts, part, slide, footers);
    length += text.length;
    checkLength(length);
    blocks.add(text);
  }
  for (const footer of footers) blocks.add(footer);
  return blocks.toString();
}

function textOfSlide(parts: OfficePackage, part: string, slide: Element, footers: Set<string>): string {
  const blocks = new Blocks();
  const tree = find(slide, 'p:cSld', 'p:spTree');
  const shapes = tree ? shapesOf(tree) : [];
  const title = shapes.find((shape) => /^(?:ctrT|t)itle$/.test(placeholderOf(shape) ?? ''));
  if (title) blocks.add(heading(2, textOf(title)));
  for (const shape of shapes) {
    const placeholder = placeholderOf(shape) ?? '';
    if (shape === title || repeated.has(placeholder)) continue;
    if (placeholder === 'ftr') footers.add(textOf(shape));
    else addShape(parts, part, shape, blocks);
  }
  const notes = parts.read([...parts.relationsOf(part).values()].find(({ type }) => type === 'notesSlide')?.target);
  for (const body of notes ? shapesOf(notes).filter((shape) => placeholderOf(shape) === 'body') : []) {
    const text = textOf(body);
    if (text !== '') blocks.add(`Notes: ${text}`);
  }
  return blocks.toString();
}

/**
 * Returns the shapes of a slide in order, including those in groups. Only the first of several alternatives is read,
 * because all show the same content.
 */
function shapesOf(parent: Element): Element[] {
  return elementsOf(parent).flatMap((element) => {
    if (element.name === 'p:sp' || element.name === 'p:graphicFrame') return element;
    if (element.name === 'mc:AlternateContent') {
      const ways = elementsOf(element).map(shapesOf);
      return ways.find((way) => way.length > 0) ?? [];
    }
    return shapesOf(element);
  });
}

/**
 * Returns the placeholder type of a shape, or `body` for a placeholder without a specific type. Returns undefined for a
 * shape that is not a placeholder.
 */
const placeholderOf = (shape: Element): string | undefined => {
  const [placeholder] = [...descendants(find(shape, 'p:nvSpPr') ?? shape, 'p:ph')];
  return placeholder && (placeholder.attributes.type ?? 'body');
};

const textOf = (shape: Element): string =>
  drawingParagraphs(shape)
    .map(({ text }) => text.trim())
    .join('\n');

function addShape(parts: OfficePackage, part: string, shape: Element, blocks: Blocks): void {
  if (shape.name === 'p:graphicFrame') {
    for (const grid of descendants(shape, 'a:tbl')) blocks.add(gridOf(grid));
    blocks.add(graphicText(parts, part, shape));
    return;
  }
  for (const { text, level, label } of drawingParagraphs(shape)) {
    // An indented paragraph is a list item, even if its bullet comes from the layout.
    const mark = label || (level > 0 ? '-' : '');
    const indent = '  '.repeat(level);
    if (mark === '') blocks.add(text);
    else blocks.add(`${indent}${mark} ${text.trim().replaceAll('\n', `\n${indent}  `)}`, { isItem: true });
  }
}

const gridOf = (grid: Element): string =>
  table(
    elementsOf(grid)
      .filter(({ name }) => name === 'a:tr')
      .map((row) =>
        elementsOf(row)
          .filter(({ name }) => name === 'a:tc')
          .map((cell) =>
            oneLine(
              drawingParagraphs(cell)
                .map(({ text }) => text)
                .join(' '),
            ),
          ),
      ),
  );
