/** Estimates the language-model tokens of a text: one per four UTF-16 code units, rounded up. */
export function estimateTokens(text: string): number {
  return Math.ceil(text.length / 4);
}

/** Number of tokens per image; providers count them by size in different ways. */
export const imageTokens = 1000;
