import { type Element, elementsOf, find, textWithin } from './xml.ts';

/** Returns an OMML formula on one line: fractions with a slash, superscripts and subscripts as in TeX. */
export function math(element: Element): string {
  const of = (name: string) => mathOf(find(element, name));
  switch (element.name) {
    case 'm:t':
      return textWithin(element);
    case 'm:f':
      return `${grouped(of('m:num'))}/${grouped(of('m:den'))}`;
    case 'm:sSup':
      return `${of('m:e')}^${grouped(of('m:sup'))}`;
    case 'm:sSub':
      return `${of('m:e')}_${grouped(of('m:sub'))}`;
    case 'm:sSubSup':
      return `${of('m:e')}_${grouped(of('m:sub'))}^${grouped(of('m:sup'))}`;
    case 'm:rad':
      return `${of('m:deg')}√${grouped(of('m:e'))}`;
    case 'm:d': {
      const properties = find(element, 'm:dPr');
      const mark = (name: string, usual: string) => find(properties, name)?.attributes['m:val'] ?? usual;
      const inner = elementsOf(element).filter(({ name }) => name === 'm:e');
      return `${mark('m:begChr', '(')}${inner.map(mathOf).join(mark('m:sepChr', '|'))}${mark('m:endChr', ')')}`;
    }
    case 'm:nary': {
      const sign = find(element, 'm:naryPr', 'm:chr')?.attributes['m:val'] ?? '∫';
      return `${sign}_${grouped(of('m:sub'))}^${grouped(of('m:sup'))} ${of('m:e')}`;
    }
    default:
      return mathOf(element);
  }
}

const mathOf = (element: Element | undefined): string => (element ? elementsOf(element).map(math).join('') : '');

const grouped = (text: string): string => (/^\w*$/.test(text) ? text : `(${text})`);
