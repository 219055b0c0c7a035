import { describe, expect, it } from 'vitest';
import { docx, encryptedPdf, paragraph, pdf } from './fixtures.ts';
import { acceptedTypes, baseName, kindOf } from './kinds.ts';

const latin1 = (text: string) => Buffer.from(text, 'latin1');
const utf8 = (text: string) => Buffer.from(text);
const utf16le = (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le');
const utf16be = (text: string) => utf16le(text).swap16();

const png = latin1('\x89PNG\r\n\x1a\n\0\0\0\rIHDR');
const jpeg = latin1('\xff\xd8\xff\xe0\0\x10JFIF\0');
const gif = latin1('GIF89a\x01\0\x01\0');
const webp = latin1('RIFF\x1a\0\0\0WEBPVP8L');
const word = docx(paragraph('x'));
const docxType = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document';

describe('detecting the type of a file', () => {
  it.each([
    ['a.png', png, 'IMAGE', 'image/png', 'image'],
    ['a.jpg', jpeg, 'IMAGE', 'image/jpeg', 'image'],
    ['A.JPEG', jpeg, 'IMAGE', 'image/jpeg', 'image'],
    ['a.gif', gif, 'IMAGE', 'image/gif', 'image'],
    ['a.gif', latin1('GIF87a\x01\0'), 'IMAGE', 'image/gif', 'image'],
    ['a.webp', webp, 'IMAGE', 'image/webp', 'image'],
    ['a.pdf', pdf(['x']), 'DOCUMENT', 'application/pdf', 'pdf'],
    ['a.pdf', encryptedPdf(), 'DOCUMENT', 'application/pdf', 'pdf'],
    ['late.pdf', Buffer.concat([Buffer.alloc(1019), pdf(['x'])]), 'DOCUMENT', 'application/pdf', 'pdf'],
    ['a.docx', word, 'DOCUMENT', docxType, 'docx'],
    ['a.html', utf8('<p>x'), 'DOCUMENT', 'text/html', 'html'],
    ['a.htm', utf8('<p>x'), 'DOCUMENT', 'text/html', 'html'],
    ['a.csv', utf8('a,b\n1,2'), 'TABULAR', 'text/csv', 'csv'],
    ['a.tsv', utf8('a\tb\r\n1\t2'), 'TABULAR', 'text/tab-separated-values', 'csv'],
    ['a.json', utf8('{"a":1}'), 'PLAIN_TEXT', 'application/json', 'json'],
    ['a.json', utf8('not yet read'), 'PLAIN_TEXT', 'application/json', 'json'],
    ['a.md', utf8('# é'), 'PLAIN_TEXT', 'text/markdown', 'markdown'],
    ['a.markdown', utf8('# x'), 'PLAIN_TEXT', 'text/markdown', 'markdown'],
    ['a.txt', utf8('x\f\n'), 'PLAIN_TEXT', 'text/plain', 'text'],
    ['a.txt', utf8('\ufeffwith a mark'), 'PLAIN_TEXT', 'text/plain', 'text'],
    ['a.txt', utf16le('é 😀'), 'PLAIN_TEXT', 'text/plain', 'text'],
    ['a.txt', utf16be('é 😀'), 'PLAIN_TEXT', 'text/plain', 'text'],
    ['a.txt', latin1('caf\xe9'), 'PLAIN_TEXT', 'text/plain', 'text'],
    ['a.txt', utf8('a\x1b[31mred\x1b[0m\x07'), 'PLAIN_TEXT', 'text/plain', 'text'],
    ['a.log', utf8(`${'line\n'.repeat(10)}\0`), 'PLAIN_TEXT', 'text/plain', 'text'],
    ['a.txt', utf16le('a\ud800b'), 'PLAIN_TEXT', 'text/plain', 'text'],
    ['a.txt', utf16le('ab').subarray(0, 5), 'PLAIN_TEXT', 'text/plain', 'text'],
    ['a.txt', utf16le('é\n').subarray(2), 'PLAIN_TEXT', 'text/plain', 'text'],
    ['a.csv', latin1('\xc4\xe3\xba\xc3,1\n'), 'TABULAR', 'text/csv', 'csv'],
    ['empty.txt', utf8(''), 'PLAIN_TEXT', 'text/plain', 'text'],
    ['a.svg', utf8('<svg xmlns="http://www.w3.org/2000/svg"/>'), 'PLAIN_TEXT', 'text/plain', 'text'],
    ['Makefile', utf8('all:\n\ttrue'), 'PLAIN_TEXT', 'text/plain', 'text'],
    ['archive.tar.xyz', utf8('text all the same'), 'PLAIN_TEXT', 'text/plain', 'text'],
    ['.env', utf8('A=1'), 'PLAIN_TEXT', 'text/plain', 'text'],
  ])('accepts %s', (name, bytes, kind, mediaType, format) =>
    expect(kindOf(name, bytes)).toEqual({ kind, mediaType, format }),
  );

  it.each([
    ['a.png', utf8('text'), 'is not a PNG image'],
    ['a.png', jpeg, 'is not a PNG image'],
    ['a.jpg', png, 'is not a JPEG image'],
    ['a.gif', webp, 'is not a GIF image'],
    ['a.webp', latin1('RIFF\x1a\0\0\0WAVE'), 'is not a WebP image'],
    ['a.webp', utf8(''), 'is not a WebP image'],
    ['a.pdf', word, 'is not a PDF document'],
    ['a.pdf', Buffer.concat([Buffer.alloc(1020), pdf(['x'])]), 'is not a PDF document'],
    ['a.docx', pdf(['x']), 'is not a DOCX document'],
    ['a.docx', latin1('\xd0\xcf\x11\xe0'), 'is not a DOCX document'],
    ['a.txt', png, 'is not a text file'],
    ['a.txt', pdf(['x']), 'is not a text file'],
    ['a.txt', utf8('a\0b'), 'is not a text file'],
    ['a.txt', utf16le('a\0b'), 'is not a text file'],
    ['a.csv', word, 'is not a text file'],
    ['a.json', latin1('\x1f\x8b\b\0'), 'is not a text file'],
    ['a.txt', latin1('\x01\x02\x03\x04text'), 'is not a text file'],
    ['a.txt', latin1(`${'\xe9\x01\x80'.repeat(100)}`), 'is not a text file'],
    ['a.log', Buffer.from([0x1f, 0xd8, 0x00, 0xdc, 0x05, 0x00, 0x41, 0x99]), 'is not a text file'],
    ['a.txt', Buffer.concat([utf8('text '.repeat(100_000)), Buffer.alloc(200_000)]), 'is not a text file'],
    ['a.html', png, 'is not a text file'],
    ['a.md', gif, 'is not a text file'],
    ['a.zip', word, 'is of a type that is not supported'],
    ['a.exe', latin1('MZ\x90\0'), 'is of a type that is not supported'],
    ['picture', png, 'is of a type that is not supported'],
    ['document', pdf(['x']), 'is of a type that is not supported'],
    ['a.png.xyz', png, 'is of a type that is not supported'],
  ])('rejects %s when its content is of another or an unsupported type', (name, bytes, unsupported) =>
    expect(kindOf(name, bytes)).toEqual({ unsupported }),
  );

  it('detects the type of a view into a larger buffer', () => {
    expect(kindOf('a.txt', latin1('\0text\0').subarray(1, 5))).toMatchObject({ format: 'text' });
    expect(kindOf('a.png', Buffer.concat([utf8('x'), png]).subarray(1))).toMatchObject({ format: 'image' });
  });

  it('lists the extensions of each accepted type', () => {
    expect(acceptedTypes).toMatchObject({
      'image/jpeg': ['.jpg', '.jpeg'],
      [docxType]: ['.docx'],
      'text/csv': ['.csv'],
    });
    for (const extension of Object.values(acceptedTypes).flat()) expect(extension).toMatch(/^\.[a-z]+$/);
  });
});

describe('the base name of a file', () => {
  it.each([
    ['report.pdf', 'report.pdf'],
    ['../../x', 'x'],
    ['/etc/passwd', 'passwd'],
    ['C:\\Users\\me\\a b.txt', 'a b.txt'],
    ['a\\../b/c.txt', 'c.txt'],
    ['  spaced.txt ', 'spaced.txt'],
    ['.hidden', '.hidden'],
    ['...', '...'],
    ['naïve 😀.md', 'naïve 😀.md'],
    [`${'f/'.repeat(300)}x`, 'x'],
    ['x'.repeat(255), 'x'.repeat(255)],
  ])('is extracted from %j as %j', (name, base) => expect(baseName(name)).toBe(base));

  it.each([
    ...['', ' ', '.', '..', '../..', 'a/', 'a\\', '/', ' . '],
    ...['a\0b', 'a\0/b', 'a\nb', 'a.txt\n', '\x7f', 'a\x85b', 'a\ud800', '\udc00/a', 'x'.repeat(256)],
  ])('is invalid for %j', (name) => expect(baseName(name)).toBeNull());
});
