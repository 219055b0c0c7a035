import { randomUUID } from 'node:crypto';
import slugify from 'slugify';

// As AnythingLLM spells what it does not leave out (contract 1.4).
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

/** A text as it can stand in a URL, lower-cased unless told; a text of which nothing is left is a UUID. */
export const slugOf = (text: string, { lower = true } = {}): string =>
  slugify(text.slice(0, 255), { lower }) || randomUUID();
