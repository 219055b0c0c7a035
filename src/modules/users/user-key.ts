import { parse } from '../../errors.ts';
import type { Prisma } from '../../generated/prisma/client.ts';
import { comparable } from '../../text/normalize.ts';
import { plainText } from '../../zod-types.ts';

/** Identifies a user by UUID, by the integer ID of the AnythingLLM paths or by e-mail address. */
export type UserKey = { id: string } | { number: number } | { email: string };

/** Returns the filter for the user with this key. Throws BAD_USER_INPUT for a text that cannot be an e-mail address. */
export function whereKey(key: UserKey): Prisma.UserWhereInput {
  if ('number' in key) return { databaseId: key.number };
  if ('id' in key) return { id: key.id };
  return { email: parse(plainText(254).overwrite(comparable), key.email, ['input', 'user', 'email']) };
}
