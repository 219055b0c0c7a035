import { badInput } from '../errors.ts';

/** Descriptions of the two input fields that name an object. */
export const referenceDescription = {
  id: 'The global id. Exactly one of `id` and `databaseId` is given.',
  databaseId: 'The integer id that the REST paths use.',
} as const;

/**
 * Returns the integer ID of an input. Throws BAD_USER_INPUT for an input without an ID, with two IDs, or with the ID of
 * another type.
 */
export function referencedId(
  input: { id?: { typename: string; id: string } | null | undefined; databaseId?: number | null | undefined },
  typename: string,
): number {
  const { id, databaseId } = input;
  if ((id == null) === (databaseId == null))
    throw badInput(['input', 'id'], 'must contain exactly one of `id` and `databaseId`');
  if (databaseId != null) return databaseId;
  const number = Number(id?.id);
  if (id?.typename !== typename || !Number.isInteger(number) || Math.abs(number) > 0x7fff_ffff)
    throw badInput(['input', 'id'], `must be the ID of an object of the type ${typename}`);
  return number;
}
