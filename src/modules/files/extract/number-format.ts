import { format } from 'numfmt';

/** Formats a number with a pattern, as a spreadsheet shows it. With `is1904`, dates are counted from 1904. */
export function formatNumber(pattern: string, value: number, { is1904 = false } = {}): string {
  const isDate = /[dmyhs]/i.test(pattern.replace(/"[^"]*"|\\.|\[[^\]]*\]|General/gi, ''));
  try {
    // The two date systems are four years and one day apart.
    return format(pattern, is1904 && isDate ? value + 1462 : value, { throws: false });
  } catch {
    return String(value);
  }
}

/** The built-in number formats of every spreadsheet, by ID (ECMA-376, part 1, section 18.8.30). */
const builtIn: Readonly<Record<number, string>> = {
  ...{ 1: '0', 2: '0.00', 3: '#,##0', 4: '#,##0.00', 9: '0%', 10: '0.00%', 11: '0.00E+00', 12: '# ?/?', 13: '# ??/??' },
  ...{ 14: 'm/d/yyyy', 15: 'd-mmm-yy', 16: 'd-mmm', 17: 'mmm-yy', 18: 'h:mm AM/PM', 19: 'h:mm:ss AM/PM', 20: 'h:mm' },
  ...{ 21: 'h:mm:ss', 22: 'm/d/yyyy h:mm', 37: '#,##0 ;(#,##0)', 38: '#,##0 ;[Red](#,##0)', 39: '#,##0.00;(#,##0.00)' },
  ...{ 40: '#,##0.00;[Red](#,##0.00)', 45: 'mm:ss', 46: '[h]:mm:ss', 47: 'mm:ss.0', 48: '##0.0E+0', 49: '@' },
};

/** Returns the pattern of a built-in format by its ID, or `General` for an unknown ID. */
export const builtInFormat = (id: number): string => builtIn[id] ?? 'General';
