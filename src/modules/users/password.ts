import { randomInt } from 'node:crypto';
import { hash, verify } from '@node-rs/argon2';
import { plainText } from '../../zod-types.ts';

/** The length of a password in UTF-16 units. */
export const passwordLength = { min: 8, max: 64 } as const;

/** Returns the form in which passwords are hashed (RFC 8265, OpaqueString): NFC, every space is an ASCII space. */
const opaqueString = (password: string): string => password.replaceAll(/\p{Zs}/gu, ' ').normalize('NFC');

/** A new password. */
export const newPassword = plainText(passwordLength.max)
  .overwrite(opaqueString)
  .min(passwordLength.min, `must be at least ${passwordLength.min} characters`);

/** A submitted password. Messages about it never contain its text. */
export const givenPassword = plainText(passwordLength.max);

/** Argon2id, the default algorithm of the library: 19 MiB, two passes, one lane. */
const cost = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;

/** The hash of an unknown password with the same cost. */
const hashOfNoUser =
  '$argon2id$v=19$m=19456,t=2,p=1$rNfh5GqcDm6OAZCjxcPgbg$RgObqxV0d6PjaVX+MLTzP8Ph8dx6BRcGFy+F1uq+38M';

export const hashPassword = (password: string): Promise<string> => hash(opaqueString(password), cost);

/**
 * Returns whether a password matches a hash. Without a hash the result is false after the same time. Hashes of earlier
 * versions and of imported accounts are those of the password as it was sent, which is therefore tried as well.
 */
export async function verifyPassword(passwordHash: string | null | undefined, password: string): Promise<boolean> {
  let fits = false;
  for (const form of new Set([opaqueString(password), password]))
    fits ||= await verify(passwordHash ?? hashOfNoUser, form);
  return passwordHash != null && fits;
}

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Returns 24 base62 characters from a CSPRNG: 142 bits. */
export const randomPassword = (): string =>
  Array.from({ length: 24 }, () => alphabet[randomInt(alphabet.length)]).join('');
