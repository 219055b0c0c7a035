import { z } from 'zod';
import { badInput } from '../errors.ts';

/**
 * The `clear` list of an update: the names of the fields to empty. It is the only way to empty a field, because null
 * and absent both mean "unchanged": clients that do not know a field often send null for it.
 */
export const clearList = <const Names extends readonly [string, ...string[]]>(names: Names) =>
  z
    .array(z.enum(names, `must be one of ${names.join(', ')}`))
    .max(100)
    .nullish();

type Cleared<Input> = Input extends { clear?: readonly (infer Name)[] | null | undefined } ? Name : never;

/** The fields that an update changes. Only a field that `clear` can name is ever null. */
export type Changes<Input> = {
  [Field in keyof Input as Field extends 'clear' ? never : Field]:
    | NonNullable<Input[Field]>
    | (Field extends Cleared<Input> ? null : never);
};

/**
 * Returns the values that an update sets, and null for each field that its `clear` list names. Fields that are null or
 * absent are left out. Throws BAD_USER_INPUT when a field is set and cleared at once.
 */
export function changesOf<Input extends object>(input: Input): Changes<Input> {
  const { clear, ...fields } = input as { clear?: readonly string[] | null } & Record<string, unknown>;
  const changes: Record<string, unknown> = Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== null && value !== undefined),
  );
  for (const [index, name] of (clear ?? []).entries()) {
    if (name in changes && changes[name] !== null)
      throw badInput(['input', 'clear', index], `cannot contain \`${name}\`, which the same input sets`);
    changes[name] = null;
  }
  return changes as Changes<Input>;
}
