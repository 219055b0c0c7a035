import { cutText } from '../../unicode.ts';
import { Unfit } from './ledger.ts';

/** Returns a text that PostgreSQL can store: without NUL, and with U+FFFD for lone surrogates. */
export const storable = (text: string): string => text.replaceAll('\0', '').toWellFormed();

/** Returns such a text, truncated to `max` UTF-16 units. */
export const cutTo = (text: string, max: number): string => cutText(storable(text), max);

/** Maximum length of a chat message in UTF-16 units, as for a turn. */
const maxMessageLength = 200_000;

/** Returns the text of a message. Throws UnimportableError for one that is too long. */
export function messageText(text: string): string {
  const kept = storable(text);
  if (kept.length > maxMessageLength) throw new Unfit(`has more than ${maxMessageLength} characters`);
  return kept;
}

/** Returns a web address that readers can follow, or null. */
export function webLink(text: unknown): string | null {
  if (typeof text !== 'string' || text.length > 2000 || !/^https?:\/\/[^\s\0]+$/i.test(text)) return null;
  return URL.canParse(text) && text.isWellFormed() ? text : null;
}

/**
 * Parses a time in epoch milliseconds, as a number in a text, or in ISO 8601. Returns null for anything else, and
 * before 1971.
 */
export function timeOf(value: unknown): Date | null {
  if (typeof value !== 'number' && typeof value !== 'string') return null;
  // SQLite and Python omit the time zone for UTC.
  const text = String(value).trim();
  const zoned = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?$/.test(text) ? `${text.replace(' ', 'T')}Z` : text;
  const date = new Date(/^\d+(\.\d+)?$/.test(zoned) ? Number(zoned) : zoned);
  const year = date.getUTCFullYear();
  return year > 1970 && year < 10_000 ? date : null;
}
