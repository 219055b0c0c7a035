/** Why a file's text cannot be had, in words that complete "the file …" and are for its owner. */
export class UnreadableError extends Error {
  override readonly name = 'UnreadableError';
}

/** Of a file that fills more memory than it may. */
export const tooMuchMemory = 'needs too much memory';

/** Of a file that breaks the rules of its format in some way. */
export const broken = 'could not be read';

/** The most characters (UTF-16 units) that a file's text may have. */
const LONGEST = 2_000_000;

/** Throws UnreadableError when that many characters are too many. */
export function checkLength(characters: number): void {
  if (characters > LONGEST)
    throw new UnreadableError(`has more than ${LONGEST.toLocaleString('en')} characters of text`);
}
