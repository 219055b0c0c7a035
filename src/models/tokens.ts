/** Rough number of language-model tokens in a text: one for every four UTF-16 code units, rounded up. */
export function estimateTokens(text: string): number {
  return Math.ceil(text.length / 4);
}

/** Tokens that an image is counted as; providers count them by size, each in its own way. */
export const imageTokens = 1000;
