import { createHash, randomInt } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { type SecretFormat, secretFormats } from './credentials.ts';

/**
 * The formats of all secrets: those of credentials and of invitation codes. A secret consists of a prefix, 30 random
 * base62 characters (178 bits; 22, or 130 bits, for an `sk-` key) and 6 base62 characters that encode the CRC32 checksum
 * of those. The checksum detects typos and guesses without a database query.
 */
const formats = { ...secretFormats, INVITE: { prefix: 'inv_', randomLength: 30, shownLength: 4 } as SecretFormat };
export type SecretKind = keyof typeof formats;
export const secretKinds = Object.keys(formats) as SecretKind[];
export const prefixOf = (kind: SecretKind): string => formats[kind].prefix;

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const checksumLength = 6;
const all = Object.values(formats);
const lengthsOf = ({ randomLength, olderLengths = [] }: SecretFormat): number[] => [randomLength, ...olderLengths];

const shapes = all.map((format) => {
  const bodies = lengthsOf(format).map((length) => `[0-9A-Za-z]{${length}}`);
  return `(${format.prefix})(${bodies.join('|')})`;
});
/** Matches a secret. Each format has two groups: its prefix and its random part. */
const shape = new RegExp(`^(?:${shapes.join('|')})([0-9A-Za-z]{${checksumLength}})$`);

/** Returns the parts of a text with the format of a secret, or null. */
function partsOf(text: string): { format: SecretFormat; body: string; sum: string } | null {
  const groups = shape.exec(text)?.slice(1);
  if (!groups) return null;
  const at = all.findIndex((_format, index) => groups[2 * index] !== undefined);
  return { format: all[at] as SecretFormat, body: groups[2 * at + 1] ?? '', sum: groups.at(-1) ?? '' };
}

/** Returns the CRC32 of a text as six base62 digits, most significant first. */
export function checksum(text: string): string {
  let digits = '';
  for (let rest = crc32(text); digits.length < checksumLength; rest = Math.floor(rest / 62))
    digits = alphabet[rest % 62] + digits;
  return digits;
}

/** Creates a secret of a kind. */
export function newSecret(kind: SecretKind): string {
  const { prefix, randomLength } = formats[kind];
  const body = Array.from({ length: randomLength }, () => alphabet[randomInt(alphabet.length)]).join('');
  return prefix + body + checksum(body);
}

/** Returns whether a text has the format and checksum of a secret, of one kind or of any, without a database query. */
export function isWellFormedSecret(text: string, kind?: SecretKind): boolean {
  const parts = partsOf(text);
  return parts !== null && checksum(parts.body) === parts.sum && (kind === undefined || parts.format === formats[kind]);
}

/**
 * Returns the stored hash of a secret: SHA-256 of the whole secret, 32 bytes. A secret has enough entropy to need no
 * salt.
 */
export const hashSecret = (secret: string): Buffer => createHash('sha256').update(secret).digest();

/**
 * Returns the display form for lists: the prefix, the first four characters (three for a personal access token), stars,
 * and the last four.
 */
export function displaySecret(secret: string): string {
  const { prefix, shownLength } = partsOf(secret)?.format ?? { prefix: '', shownLength: 4 };
  return `${secret.slice(0, prefix.length + shownLength)}${'*'.repeat(shownLength === 4 ? 8 : 4)}${secret.slice(-4)}`;
}

/** Returns the columns that store a secret. */
export const secretColumns = (secret: string) => ({
  hash: Uint8Array.from(hashSecret(secret)),
  display: displaySecret(secret),
});

const prefixesOfLength = (length: number): string =>
  all
    .filter(({ randomLength }) => randomLength === length)
    .map(({ prefix }) => prefix)
    .join('|');
const afterPrefix = [...new Set(all.map(({ randomLength }) => randomLength))].map(
  (length) => `(?<=${prefixesOfLength(length)})[0-9A-Za-z]{${length + checksumLength},}`,
);

/**
 * Matches what follows a prefix: enough for a whole secret at any position (after the `n` of an escaped line break,
 * after the digits of `%20`, after another secret), and already the start of one when the prefix starts a word.
 */
const anywhere = new RegExp(
  `${afterPrefix.join('|')}|(?<=\\b(?:${all.map(({ prefix }) => prefix).join('|')}))[0-9A-Za-z]{8,}`,
  'g',
);

/** Removes secrets from a text, for log lines and error messages. */
export const redactSecrets = (text: string): string => text.replace(anywhere, '[redacted]');

/** Returns whether a text contains something that resembles a secret, well-formed or not. */
export const mentionsSecret = (text: string): boolean => text.search(anywhere) >= 0;
