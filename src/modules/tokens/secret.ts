import { createHash, randomInt } from 'node:crypto';
import { crc32 } from 'node:zlib';

/**
 * Prefixes of the secrets of tokens and of invitation codes. A secret consists of the prefix, 30 random base62
 * characters (178 bits) and 6 base62 characters that encode the CRC32 checksum of those 30. An `sk-` key has 22 random
 * characters (130 bits), because AnythingLLM's command line requires 31 characters in total; `sk-` keys with 30 random
 * characters were created by earlier versions. The checksum detects typos and guesses without a database query.
 */
export const prefixes = {
  API_KEY: 'on_',
  PERSONAL: 'onyx_pat_',
  ANYTHINGLLM: 'sk-',
  PROJECT: 'proj_',
  SESSION: 'ses_',
  INVITE: 'inv_',
} as const;
export type SecretPrefix = (typeof prefixes)[keyof typeof prefixes];

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const shape = /^(on_|onyx_pat_|sk-|proj_|ses_|inv_)([0-9A-Za-z]{30}|(?<=^sk-)[0-9A-Za-z]{22})([0-9A-Za-z]{6})$/;

const randomLength = (prefix: SecretPrefix): number => (prefix === prefixes.ANYTHINGLLM ? 22 : 30);

/** Returns the CRC32 of a text as six base62 digits, most significant first. */
export function checksum(text: string): string {
  let digits = '';
  for (let rest = crc32(text); digits.length < 6; rest = Math.floor(rest / 62)) digits = alphabet[rest % 62] + digits;
  return digits;
}

export function newSecret(prefix: SecretPrefix): string {
  const body = Array.from({ length: randomLength(prefix) }, () => alphabet[randomInt(alphabet.length)]).join('');
  return prefix + body + checksum(body);
}

/** Returns whether a text has the format and checksum of a secret, without a database query. */
export function isWellFormedSecret(text: string, prefix?: SecretPrefix): boolean {
  const [, found, body, sum] = shape.exec(text) ?? [];
  return body !== undefined && checksum(body) === sum && (prefix === undefined || prefix === found);
}

/**
 * Returns the stored hash of a secret: SHA-256 of the whole secret, 32 bytes. A secret has enough entropy to need no
 * salt.
 */
export const hashSecret = (secret: string): Buffer => createHash('sha256').update(secret).digest();

/**
 * Returns the display form for lists: the first four characters (three for a personal access token), stars, and the
 * last four.
 */
export function displaySecret(secret: string): string {
  const prefix = shape.exec(secret)?.[1] ?? '';
  return prefix === prefixes.PERSONAL
    ? `${secret.slice(0, prefix.length + 3)}****${secret.slice(-4)}`
    : `${secret.slice(0, prefix.length + 4)}********${secret.slice(-4)}`;
}

/** Returns the columns that store a secret. */
export const secretColumns = (secret: string) => ({
  hash: Uint8Array.from(hashSecret(secret)),
  display: displaySecret(secret),
});

/**
 * Matches what follows a prefix: enough for a whole secret at any position (after the `n` of an escaped line break,
 * after the digits of `%20`, after another secret), and already the start of one when the prefix starts a word.
 */
const anywhere =
  /(?<=on_|onyx_pat_|proj_|ses_|inv_)[0-9A-Za-z]{36,}|(?<=sk-)[0-9A-Za-z]{28,}|(?<=\b(?:on_|onyx_pat_|proj_|sk-|ses_|inv_))[0-9A-Za-z]{8,}/g;

/** Removes secrets from a text, for log lines and error messages. */
export const redactSecrets = (text: string): string => text.replace(anywhere, '[redacted]');

/** Returns whether a text contains something that resembles a secret, well-formed or not. */
export const mentionsSecret = (text: string): boolean => text.search(anywhere) >= 0;
