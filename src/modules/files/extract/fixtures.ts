import { deflateRawSync } from 'node:zlib';
import { strToU8, zipSync } from 'fflate';

/** Files for the tests, written by hand, including files that no program would write. */

interface PdfOptions {
  /** The page count in the page tree, when it differs from the number of pages. */
  count?: number;
  /** The content of every page instead of its text: a stream with its dictionary. */
  content?: Buffer;
  /** Additions to the trailer, and objects with numbers from 4 that it can refer to. */
  trailer?: string;
  objects?: string[];
}

/** Returns a PDF document with a line of text on each page. */
export function pdf(pages: string[], { count = pages.length, content, trailer = '', objects = [] }: PdfOptions = {}) {
  const first = 4 + objects.length;
  const kids = pages.map((_, at) => `${first + at * 2} 0 R`).join(' ');
  const all: (string | Buffer)[] = [
    '<< /Type /Catalog /Pages 2 0 R >>',
    `<< /Type /Pages /Count ${count} /Kids [${kids}] >>`,
    '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>',
    ...objects,
    ...pages.flatMap((text, at) => [
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Resources << /Font << /F1 3 0 R >> >> /Contents ${first + at * 2 + 1} 0 R >>`,
      content ?? pdfStream(`BT /F1 12 Tf 50 700 Td (${text}) Tj ET`),
    ]),
  ];
  const parts: Buffer[] = [Buffer.from('%PDF-1.7\n')];
  const offsets: number[] = [];
  let length = parts[0]?.length ?? 0;
  const add = (part: string | Buffer) => {
    const bytes = typeof part === 'string' ? Buffer.from(part, 'latin1') : part;
    parts.push(bytes);
    length += bytes.length;
  };
  all.forEach((object, at) => {
    offsets.push(length);
    add(`${at + 1} 0 obj\n`);
    add(object);
    add('\nendobj\n');
  });
  const start = length;
  const rows = offsets.map((offset) => `${String(offset).padStart(10, '0')} 00000 n \n`).join('');
  add(`xref\n0 ${all.length + 1}\n0000000000 65535 f \n${rows}`);
  add(`trailer\n<< /Size ${all.length + 1} /Root 1 0 R ${trailer} >>\nstartxref\n${start}\n%%EOF\n`);
  return Buffer.concat(parts);
}

/** Returns a stream with its dictionary. `filter` names its compression. */
export function pdfStream(data: string | Buffer, filter = ''): Buffer {
  return Buffer.concat([
    Buffer.from(`<< /Length ${data.length} ${filter} >>\nstream\n`),
    Buffer.from(data as string, 'latin1'),
    Buffer.from('\nendstream'),
  ]);
}

/** Returns a PDF document like one from a scanner: a page with an image and without text. */
export const scannedPdf = (): Buffer =>
  pdf(['x'], {
    content: pdfStream('q 600 0 0 800 0 0 cm /Im1 Do Q'),
    objects: [
      '<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8 /Length 1 >>\nstream\nx\nendstream',
    ],
  });

/** Returns a PDF document that requires a password. */
export function encryptedPdf(): Buffer {
  const hash = '5a'.repeat(32);
  return pdf(['secret'], {
    trailer: `/ID [<${'01'.repeat(16)}> <${'01'.repeat(16)}>] /Encrypt << /Filter /Standard /V 1 /R 2 /Length 40 /P -4 /O <${hash}> /U <${hash}> >>`,
  });
}

/** Returns zeros as a zlib stream, in mebibytes; it has a thousandth of that size. */
export function deflatedZeros(mebibytes: number): Buffer {
  const block = deflateRawSync(Buffer.alloc(1024 * 1024), {
    finishFlush: 3 /* Z_FULL_FLUSH: more blocks can follow */,
  });
  const checksum = Buffer.alloc(4);
  checksum.writeUInt16BE((mebibytes * 1024 * 1024) % 65521);
  checksum.writeUInt16BE(1, 2);
  return Buffer.concat([
    Buffer.from([0x78, 0x9c]),
    ...Array<Buffer>(mebibytes).fill(block),
    Buffer.from([0x03, 0x00]), // the empty last block
    checksum,
  ]);
}

const word = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"';
const drawing = [
  'xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing"',
  'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"',
  'xmlns:pic="http://schemas.openxmlformats.org/drawingml/2006/picture"',
  'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"',
].join(' ');
const xml = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>';
const relationships = 'http://schemas.openxmlformats.org/package/2006/relationships';
const officeDocument = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships';

/** Returns the parts of a Word document with this body. */
export function docxParts(body: string, doctype = ''): Record<string, Uint8Array> {
  return {
    '[Content_Types].xml': strToU8(
      `${xml}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/></Types>`,
    ),
    '_rels/.rels': strToU8(
      `${xml}<Relationships xmlns="${relationships}"><Relationship Id="rId1" Type="${officeDocument}/officeDocument" Target="word/document.xml"/></Relationships>`,
    ),
    'word/document.xml': strToU8(
      `${xml}${doctype}<w:document ${word} ${drawing}><w:body>${body}</w:body></w:document>`,
    ),
    'word/styles.xml': strToU8(
      `${xml}<w:styles ${word}><w:style w:type="paragraph" w:styleId="Heading1"><w:name w:val="heading 1"/></w:style><w:style w:type="paragraph" w:styleId="Title"><w:name w:val="Title"/></w:style></w:styles>`,
    ),
  };
}

/** Returns a Word document with this body. */
export const docx = (body: string): Uint8Array => zipSync(docxParts(body));

export const paragraph = (text: string, style?: string): string =>
  `<w:p>${style ? `<w:pPr><w:pStyle w:val="${style}"/></w:pPr>` : ''}<w:r><w:t>${text}</w:t></w:r></w:p>`;

export const wordTable = (rows: string[][]): string =>
  `<w:tbl>${rows.map((cells) => `<w:tr>${cells.map((cell) => `<w:tc>${paragraph(cell)}</w:tc>`).join('')}</w:tr>`).join('')}</w:tbl>`;

/** Returns a Word document with an external image. */
export function docxWithLinkedImage(url: string): Uint8Array {
  const picture = `<w:p><w:r><w:drawing><wp:inline><wp:docPr id="1" name="p" descr="a picture"/><a:graphic><a:graphicData uri="http://schemas.openxmlformats.org/drawingml/2006/picture"><pic:pic><pic:blipFill><a:blip r:link="rId9"/></pic:blipFill></pic:pic></a:graphicData></a:graphic></wp:inline></w:drawing></w:r></w:p>`;
  return zipSync({
    ...docxParts(picture + paragraph('Beside a picture')),
    'word/_rels/document.xml.rels': strToU8(
      `${xml}<Relationships xmlns="${relationships}"><Relationship Id="rId9" Type="${officeDocument}/image" Target="${url}" TargetMode="External"/></Relationships>`,
    ),
  });
}

/** Sets the declared size of an entry and declares it as deflated. */
export function declareSize(zip: Uint8Array, entry: string, size: number): Uint8Array {
  const lying = Buffer.from(zip);
  for (const [signature, methodAt, sizeAt, nameAt] of [
    ['PK\x03\x04', 8, 22, 30],
    ['PK\x01\x02', 10, 24, 46],
  ] as const)
    for (let at = lying.indexOf(signature, 0, 'latin1'); at >= 0; at = lying.indexOf(signature, at + 4, 'latin1'))
      if (lying.toString('latin1', at + nameAt, at + nameAt + entry.length) === entry) {
        lying.writeUInt16LE(8, at + methodAt);
        lying.writeUInt32LE(size, at + sizeAt);
      }
  return lying;
}

/** Returns a Word document with a part of zeros and its declared size. */
export function docxWithZeros(part: string, mebibytes: number, declared = mebibytes * 1024 * 1024): Uint8Array {
  const zeros = deflatedZeros(mebibytes).subarray(2); // without the zlib header
  return declareSize(zipSync({ ...docxParts(paragraph('text')), [part]: [zeros, { level: 0 }] }), part, declared);
}
