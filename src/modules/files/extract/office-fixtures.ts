import { strToU8, zipSync } from 'fflate';

/** Handmade office documents that contain only the parts that the readers use. */

const relationships = 'http://schemas.openxmlformats.org/package/2006/relationships';
const officeDocument = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships';
const openDocument = 'urn:oasis:names:tc:opendocument:xmlns:';

const namespaces = Object.entries({
  x: 'http://schemas.openxmlformats.org/spreadsheetml/2006/main',
  p: 'http://schemas.openxmlformats.org/presentationml/2006/main',
  a: 'http://schemas.openxmlformats.org/drawingml/2006/main',
  c: 'http://schemas.openxmlformats.org/drawingml/2006/chart',
  r: officeDocument,
  office: `${openDocument}office:1.0`,
  text: `${openDocument}text:1.0`,
  table: `${openDocument}table:1.0`,
  draw: `${openDocument}drawing:1.0`,
  style: `${openDocument}style:1.0`,
  presentation: `${openDocument}presentation:1.0`,
  chart: `${openDocument}chart:1.0`,
  manifest: `${openDocument}manifest:1.0`,
  dc: 'http://purl.org/dc/elements/1.1/',
  xlink: 'http://www.w3.org/1999/xlink',
})
  .map(([prefix, uri]) => `xmlns:${prefix}="${uri}"`)
  .join(' ');

/** Returns a part whose root element declares all the namespaces used here. */
export const xmlPart = (name: string, content: string): Uint8Array =>
  strToU8(`<?xml version="1.0" encoding="UTF-8"?><${name} ${namespaces}>${content}</${name}>`);

/** Relations of a part, by ID. */
export type Links = Record<string, [type: string, target: string]>;

export const relationsPart = (links: Links): Uint8Array =>
  strToU8(
    `<Relationships xmlns="${relationships}">${Object.entries(links)
      .map(([id, [type, target]]) => `<Relationship Id="${id}" Type="${officeDocument}/${type}" Target="${target}"/>`)
      .join('')}</Relationships>`,
  );

type ZipParts = Record<string, Uint8Array>;

const officePackage = (main: string, parts: ZipParts): Uint8Array =>
  zipSync({ '_rels/.rels': relationsPart({ r1: ['officeDocument', main] }), ...parts });

interface Sheet {
  name: string;
  /** The rows in SpreadsheetML. */
  rows: string;
  state?: string;
  links?: Links;
}

/**
 * Creates a workbook. `shared` contains the elements of its shared strings, `styles` its formats, and `more` additional
 * parts.
 */
export function xlsx(
  sheets: Sheet[],
  { shared = '', styles = '', properties = '', more = {} as ZipParts } = {},
): Uint8Array {
  return officePackage('xl/workbook.xml', {
    'xl/workbook.xml': xmlPart(
      'x:workbook',
      `${properties}<x:sheets>${sheets.map(({ name, state = 'visible' }, at) => `<x:sheet name="${name}" state="${state}" r:id="s${at}"/>`).join('')}</x:sheets>`,
    ),
    'xl/_rels/workbook.xml.rels': relationsPart({
      ...Object.fromEntries(sheets.map((_, at) => [`s${at}`, ['worksheet', `worksheets/sheet${at}.xml`]])),
      shared: ['sharedStrings', 'sharedStrings.xml'],
      styles: ['styles', 'styles.xml'],
    }),
    'xl/sharedStrings.xml': xmlPart('x:sst', shared),
    'xl/styles.xml': xmlPart('x:styleSheet', styles),
    ...Object.fromEntries(
      sheets.flatMap(({ rows, links = {} }, at) => [
        [`xl/worksheets/sheet${at}.xml`, xmlPart('x:worksheet', `<x:sheetData>${rows}</x:sheetData>`)],
        [`xl/worksheets/_rels/sheet${at}.xml.rels`, relationsPart(links)],
      ]),
    ),
    ...more,
  });
}

/** Creates a presentation. Each slide is given by its shapes. `more` contains additional parts. */
export function pptx(
  slides: string[],
  { links = {} as Record<number, Links>, more = {} as ZipParts } = {},
): Uint8Array {
  return officePackage('ppt/presentation.xml', {
    'ppt/presentation.xml': xmlPart(
      'p:presentation',
      `<p:sldIdLst>${slides.map((_, at) => `<p:sldId r:id="s${at}"/>`).join('')}</p:sldIdLst>`,
    ),
    'ppt/_rels/presentation.xml.rels': relationsPart(
      Object.fromEntries(slides.map((_, at) => [`s${at}`, ['slide', `slides/slide${at}.xml`]])),
    ),
    ...Object.fromEntries(
      slides.flatMap((shapes, at) => [
        [`ppt/slides/slide${at}.xml`, xmlPart('p:sld', `<p:cSld><p:spTree>${shapes}</p:spTree></p:cSld>`)],
        [`ppt/slides/_rels/slide${at}.xml.rels`, relationsPart(links[at] ?? {})],
      ]),
    ),
    ...more,
  });
}

/** Returns a shape of a slide. `place` is the type of its placeholder. */
export const shape = (paragraphs: string, place?: string): string =>
  `<p:sp><p:nvSpPr><p:nvPr>${place === undefined ? '' : `<p:ph type="${place}"/>`}</p:nvPr></p:nvSpPr><p:txBody>${paragraphs}</p:txBody></p:sp>`;

export const drawn = (text: string, properties = ''): string => `<a:p>${properties}<a:r><a:t>${text}</a:t></a:r></a:p>`;

/** Creates an OpenDocument file of this kind: `text`, `spreadsheet` or `presentation`. */
export function odf(
  kind: string,
  body: string,
  { automatic = '', masters = '', more = {} as ZipParts } = {},
): Uint8Array {
  return zipSync({
    mimetype: strToU8(`application/vnd.oasis.opendocument.${kind}`),
    'content.xml': xmlPart(
      'office:document-content',
      `<office:automatic-styles>${automatic}</office:automatic-styles><office:body><office:${kind}>${body}</office:${kind}></office:body>`,
    ),
    'styles.xml': xmlPart('office:document-styles', `<office:master-styles>${masters}</office:master-styles>`),
    ...more,
  });
}

/** Creates an EPUB book from pages by name, in reading order. */
export function epub(title: string, pages: Record<string, string>, more: ZipParts = {}): Uint8Array {
  const names = Object.keys(pages);
  return zipSync({
    mimetype: strToU8('application/epub+zip'),
    'META-INF/container.xml': strToU8(
      '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>',
    ),
    'OEBPS/book.opf': strToU8(
      `<package xmlns="http://www.idpf.org/2007/opf"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>${title}</dc:title></metadata><manifest>${names
        .map((name, at) => `<item id="i${at}" href="${encodeURI(name)}"/>`)
        .join('')}</manifest><spine>${names.map((_, at) => `<itemref idref="i${at}"/>`).join('')}</spine></package>`,
    ),
    ...Object.fromEntries(names.map((name) => [`OEBPS/${name}`, strToU8(pages[name] ?? '')])),
    ...more,
  });
}
