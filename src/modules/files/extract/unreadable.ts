/** The reason why the text of a file cannot be extracted. It completes "the file …" and is shown to its owner. */
export class UnreadableError extends Error {
  override readonly name = 'UnreadableError';
}

/** For a file that exceeds the memory limit. */
export const tooMuchMemory = 'needs too much memory';

/** For a malformed file. */
export const broken = 'could not be read';

/** Maximum length of a file's text, in UTF-16 units. */
const maxCharacters = 2_000_000;

/** Throws UnreadableError when this number of characters exceeds the limit. */
export function checkLength(characters: number): void {
  if (characters > maxCharacters)
    throw new UnreadableError(`has more than ${maxCharacters.toLocaleString('en')} characters of text`);
}
