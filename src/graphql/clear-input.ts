import { builder } from './builder.ts';

type InputFields = Parameters<NonNullable<Parameters<typeof builder.inputType>[1]['fields']>>[0];

/** Converts a field name to the name of an enum value: `historyLimit` becomes `HISTORY_LIMIT`. */
const constantCase = (name: string): string => name.replaceAll(/[A-Z]/g, '_$&').toUpperCase();

/**
 * Adds the enum of the fields that an update can clear, each with a description of its value after clearing, and
 * returns the `clear` field of the update's input. `clearList` defines the rule.
 */
export function clearField<Name extends string>(typeName: string, fields: Record<Name, string>) {
  const Clearable = builder.enumType(typeName, {
    description: 'The fields that an update can empty. Null and absent values leave a field unchanged.',
    values: Object.fromEntries(
      Object.entries<string>(fields).map(([name, description]) => [
        constantCase(name),
        { value: name as Name, description },
      ]),
    ) as Record<string, { value: Name; description: string }>,
  });
  return (t: InputFields) =>
    t.field({
      type: [Clearable],
      description: 'Fields to empty. A field cannot be set and cleared in one input. Null leaves a field unchanged.',
    });
}
