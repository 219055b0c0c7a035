import { cutText } from '../../unicode.ts';
import { Unfit } from './ledger.ts';

/** A text as PostgreSQL can hold it: without NUL, and with U+FFFD for what is no character. */
export const storable = (text: string): string => text.replaceAll('\0', '').toWellFormed();

/** The same, and the beginning of what is too long. `max` is in UTF-16 units. */
export const cutTo = (text: string, max: number): string => cutText(storable(text), max);

/** The longest message of a chat, in UTF-16 units: what a turn takes. */
export const longestMessage = 200_000;

/** A text of a message. Throws Unfit for one that is too long. */
export function messageText(text: string): string {
  const kept = storable(text);
  if (kept.length > longestMessage) throw new Unfit(`has more than ${longestMessage} characters`);
  return kept;
}

/** An address that readers may click; null for any other text. */
export function webLink(text: unknown): string | null {
  if (typeof text !== 'string' || text.length > 2000 || !/^https?:\/\/[^\s\0]+$/i.test(text)) return null;
  return URL.canParse(text) && text.isWellFormed() ? text : null;
}

/** A time as epoch milliseconds, a number in a text, or ISO 8601; null for what is none, or before 1971. */
export function timeOf(value: unknown): Date | null {
  if (typeof value !== 'number' && typeof value !== 'string') return null;
  // SQLite and Python leave the zone out where it is UTC.
  const text = String(value).trim();
  const zoned = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?$/.test(text) ? `${text.replace(' ', 'T')}Z` : text;
  const date = new Date(/^\d+(\.\d+)?$/.test(zoned) ? Number(zoned) : zoned);
  const year = date.getUTCFullYear();
  return year > 1970 && year < 10_000 ? date : null;
}
