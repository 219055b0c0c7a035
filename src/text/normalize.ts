/**
 * The normalization form of every text that is searched or compared. Texts that look the same are equal in it: ligatures
 * and full-width letters become plain letters, accents are composed (NFKC), and characters without a visible form, such
 * as soft hyphens and zero-width joiners, are removed. Stored texts keep the form in which they were written.
 */

/** Unicode's Default_Ignorable_Code_Point: characters without a visible form. */
const ignorable = /\p{Default_Ignorable_Code_Point}/gu;

/**
 * Returns the form in which full-text search indexes and looks up a text. The function `search_form` of the database,
 * which the indexed columns are generated with, is equal; a test verifies this.
 */
export const searchForm = (text: string): string => text.replace(ignorable, '').normalize('NFKC');

/** Returns the form in which names and logins are compared: {@link searchForm} without case. */
export const comparable = (text: string): string => searchForm(text).toLowerCase().normalize('NFKC');
