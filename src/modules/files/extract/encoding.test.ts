import iconv from 'iconv-lite';
import { describe, expect, it } from 'vitest';
import { decodeText } from './encoding.ts';
import { looksLikeText } from './text-bytes.ts';

const german = 'Die Größe der Gebühr beträgt „5 €“. Müller, Straße – fünf Übergänge.';
const texts: [encoding: string, text: string][] = [
  ['windows-1252', german],
  ['latin1', 'El niño comió jamón en la estación. ¿Dónde está?'],
  ['iso-8859-15', 'La œuvre coûte 5 €, déjà payée à Noël.'],
  ['windows-1250', 'Wysokość opłaty wynosi 5 zł. Proszę zgłosić się do urzędu.'],
  ['windows-1251', 'Высота сбора составляет пять рублей.'],
  ['koi8-r', 'Высота сбора составляет пять рублей.'],
  ['windows-1253', 'Το ύψος του τέλους είναι πέντε ευρώ.'],
  ['windows-1256', 'قيمة الرسوم خمسة دراهم.'],
  ['gbk', '保修期为两年，从购买之日起计算。'],
  ['gb18030', '名称,价格\n茶,5\n咖啡,7\n𠮷,9'],
  ['big5', '保固期為兩年，從購買之日起計算。'],
  ['shift_jis', '保証期間は二年です。名前,価格\nお茶,5'],
  ['euc-jp', '保証期間は二年です。カタカナ'],
  ['euc-kr', '보증 기간은 2년입니다. 서울 사무실은 삼층에 있습니다.'],
];
const unicode = ['utf-8', 'utf-16le', 'utf-16be', 'utf-32le', 'utf-32be'];

describe('detecting the encoding of a text', () => {
  it.each(texts)('reads %s: %s', async (encoding, text) => {
    const bytes = iconv.encode(text, encoding);
    expect(looksLikeText(bytes)).toBe(true);
    expect(await decodeText(bytes)).toBe(text);
  });

  it.each(unicode)('reads %s with and without a byte order mark', async (encoding) => {
    for (const [, text] of texts)
      for (const addBOM of [true, false]) {
        const bytes = iconv.encode(`${text}\n`, encoding, { addBOM });
        expect(looksLikeText(bytes)).toBe(true);
        expect(await decodeText(bytes)).toBe(`${text}\n`);
      }
  });

  it('reads ISO-2022-JP, whose escape sequences are not terminal escapes', async () => {
    const bytes = Buffer.from('\x1b$BJ]>Z4|4V\x1b(B 2', 'latin1');
    expect(looksLikeText(bytes)).toBe(true);
    expect(await decodeText(bytes)).toBe('保証期間 2');
  });

  it('reads a text whose first non-ASCII characters come near its end', async () => {
    const text = `${'An English line that says nothing.\n'.repeat(10_000)}${german}\n`;
    expect(await decodeText(iconv.encode(text, 'windows-1252'))).toBe(text);
  });

  it.each([0, 1, 2, 3])('reads a text in which a character crosses the border of every sample (%d)', async (shift) => {
    const text = 'x'.repeat(shift) + '保証期間は二年です。'.repeat(20_000);
    for (const encoding of ['shift_jis', 'euc-jp', 'utf-8', 'utf-16le', 'utf-16be']) {
      const bytes = iconv.encode(`${text}\n`, encoding);
      expect(looksLikeText(bytes)).toBe(true);
      expect(await decodeText(bytes)).toBe(`${text}\n`);
    }
  });

  it('decodes line by line when the lines use two encodings', async () => {
    const lines = ['Größe: fünf', 'Übergang zur Straße', 'Gebühr für Müller', 'plain'];
    const mixed = Buffer.concat(lines.map((line, at) => iconv.encode(`${line}\n`, at % 2 ? 'windows-1252' : 'utf-8')));
    expect(await decodeText(mixed)).toBe(`${lines.join('\n')}\n`);
    const withinLines = Buffer.concat([Buffer.from('Größe '), iconv.encode('Gebühr', 'windows-1252')]);
    expect(await decodeText(withinLines)).toBe('Größe Gebühr');
  });
});

describe('a declared encoding', () => {
  // Too short for detection: these bytes are Latin letters, Cyrillic letters and others, depending on the encoding.
  const bytes = iconv.encode('Да', 'windows-1251');

  it.each([
    ['by who sent it', 'windows-1251', 'Да', ''],
    ['by meta charset', null, '<meta charset=windows-1251>Да', '<meta charset=windows-1251>'],
    ['by http-equiv', null, null, '<META HTTP-EQUIV="Content-Type" content="text/html; charset=windows-1251">'],
    ['by an XML declaration', null, null, '<?xml version="1.0" encoding="windows-1251"?>'],
    ['by its other names', 'CP1251', null, ''],
    ['in front of what the page says', 'windows-1251', null, '<meta charset="iso-8859-7">'],
    ['outside of comments', null, null, '<!-- <meta charset="koi8-r"> --><meta charset="windows-1251">'],
  ])('is used when declared: %s', async (_what, declared, _text, head) => {
    expect(await decodeText(Buffer.concat([Buffer.from(head), bytes]), declared)).toBe(`${head}Да`);
  });

  it('is ignored when it is unknown, does not fit, or the text is UTF-8', async () => {
    expect(await decodeText(iconv.encode(german, 'windows-1252'), 'klingon')).toBe(german);
    expect(await decodeText(iconv.encode(german, 'windows-1252'), 'utf-8')).toBe(german);
    expect(await decodeText(iconv.encode(german, 'windows-1252'), 'euc-jp')).toBe(german);
    expect(await decodeText(Buffer.from(german), 'iso-8859-1')).toBe(german);
  });

  it('is extended to its common superset, such as windows-1252 for ISO-8859-1', async () => {
    expect(await decodeText(iconv.encode('“5 €”', 'windows-1252'), 'ISO-8859-1')).toBe('“5 €”');
    expect(await decodeText(iconv.encode('①㈱', 'cp932'), 'shift_jis')).toBe('①㈱');
    expect(await decodeText(iconv.encode('똠', 'cp949'), 'ks_c_5601-1987')).toBe('똠');
  });
});
