import { z } from 'zod';
import { conflict, parse } from '../../errors.ts';
import { Prisma, type User } from '../../generated/prisma/client.ts';
import { comparable } from '../../text/normalize.ts';
import { cutText } from '../../unicode.ts';
import { plainText } from '../../zod-types.ts';

/** The domain of the addresses of key users. No person has such an address. */
const keyDomain = 'onyxapikey.ai';
const domainReserved = {
  message: `must not be in the domain ${keyDomain}, which is reserved for keys`,
  params: { reason: 'DOMAIN_RESERVED' },
};

/** The domain of the address of a person whose user name is not an address. By RFC 2606, no mail reaches it. */
const noDomain = 'anythingllm.invalid';

/** An e-mail address in lower case. */
export const emailAddress = plainText(254)
  .overwrite(comparable)
  .pipe(z.email('must be an e-mail address'))
  .refine((email) => !email.endsWith(keyDomain), domainReserved)
  .refine(
    (email) => !email.endsWith(`@${noDomain}`),
    `must not be in the domain ${noDomain}, which is reserved for user names`,
  );

export const username = plainText(64).regex(
  /^[a-z][a-z0-9._@-]+$/,
  'must have 2 to 64 lower-case letters, digits or the characters . _ @ - and begin with a letter',
);

/** The display name of a person. */
export const personName = plainText(100).trim().min(1, 'must not be empty');

/** A user name without an address. If it is itself an address, it must be one that a person can have. */
export const soleUsername = username.refine(
  (name) => !isAddress(name) || emailAddress.safeParse(name).success,
  'is reserved',
);

const isAddress = (text: string): boolean => z.email().safeParse(text).success;

/** Returns the address of a person with a user name only: the user name if it is an address. */
export const addressOf = (username: string): string =>
  isAddress(username) ? username : `${username.replaceAll('@', '.')}@${noDomain}`;

/** Returns the default name of a person. */
export const nameOf = (email: string): string => cutText(email.slice(0, email.indexOf('@')), 100);

/**
 * Returns the columns that a new user name changes, or no column for a person who already has that name or address; the
 * generated address changes with it. Throws BAD_USER_INPUT for a user name that is not allowed.
 */
export function namesAfter(before: User, wanted: string | null | undefined): { username?: string; email?: string } {
  if (wanted == null || wanted === (before.username ?? before.email)) return {};
  const path = ['input', 'username'];
  const known = parse(username, wanted, path);
  return before.email.endsWith(`@${noDomain}`)
    ? { username: known, email: addressOf(parse(soleUsername, known, path)) }
    : { username: known };
}

/** The message of CONFLICT when an address or user name is in use. */
const taken = 'An account with this address or user name already exists.';

/** Runs an operation that stores a person. Throws CONFLICT when the address or user name is in use. */
export async function unlessTaken<T>(store: () => Promise<T>): Promise<T> {
  try {
    return await store();
  } catch (error) {
    if (error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2002')
      throw conflict('ADDRESS_TAKEN', taken);
    throw error;
  }
}
