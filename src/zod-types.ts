import { z } from 'zod';
import type { FieldReason } from './error-reasons.ts';
import { searchForm } from './text/normalize.ts';
import { withoutControls } from './unicode.ts';

/** Text that PostgreSQL can store: no NUL, no lone surrogates. `max` is in UTF-16 units. */
export const plainText = (max: number) =>
  z
    .string()
    .max(max, `must be at most ${max} characters`)
    .refine((text) => !text.includes('\0'), 'must not contain NUL characters')
    .refine((text) => text.isWellFormed(), 'must be valid Unicode');

/** An ID of an integer column. */
export const databaseId = z.number().int().min(-0x8000_0000).max(0x7fff_ffff);

/** The text of a document, or of a section of it: without control characters and the colors of terminals, in NFC. */
export const documentText = plainText(2_000_000).overwrite((text) => withoutControls(text).normalize('NFC'));

/**
 * A condition on a column in the form of search, such as `nameForm`: it contains the text in that form, ignoring case.
 * Every filter by a part of a text uses it.
 */
export const containing = (text: string) =>
  ({ contains: searchForm(text).replaceAll(/[\\%_]/g, String.raw`\$&`), mode: 'insensitive' }) as const;

/** The problem of a text that contains only white space, for `refine`. */
export const blank = { message: 'must not be blank', params: { reason: 'BLANK' } } satisfies {
  message: string;
  params: { reason: FieldReason };
};
