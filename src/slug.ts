import { randomUUID } from 'node:crypto';
import slugify from 'slugify';
import { searchForm } from './text/normalize.ts';

// The replacements that AnythingLLM uses (contract 1.4).
slugify.extend({
  '+': ' plus ',
  '!': ' bang ',
  '@': ' at ',
  '*': ' splat ',
  '.': ' dot ',
  ':': '',
  '~': '',
  '(': '',
  ')': '',
  "'": '',
  '"': '',
  '|': '',
});

/** Converts a text to a slug for URLs, in lower case by default; a text without usable characters becomes a UUID. */
export const slugOf = (text: string, { lower = true } = {}): string =>
  slugify(searchForm(text.slice(0, 255)), { lower }) || randomUUID();
