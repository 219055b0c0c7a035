import type { ListOrders } from '../paging.ts';
import { builder } from './builder.ts';

const OrderDirection = builder.enumType('OrderDirection', {
  description: 'The direction of an ordered list.',
  values: {
    ASC: { description: 'Smallest, oldest or alphabetically first item first. Null is last.' },
    DESC: { description: 'Largest, newest or alphabetically last item first. Null is last.' },
  } as const,
});

/**
 * Defines the input `{ field, direction }`, which sets the order of a list, and the enum of its fields. `name` is the
 * name of the listed type: `ApiKey` for `ApiKeyOrder` and `ApiKeyOrderField`.
 */
export function orderInput<Field extends string>(
  name: string,
  orders: ListOrders<Field>,
  fields: { [Name in Field]: string },
) {
  const values = Object.fromEntries(
    orders.fields.map((field) => [field, { value: field, description: fields[field] }]),
  );
  const FieldType = builder.enumType(`${name}OrderField`, {
    description: `Fields by which a list of the type \`${name}\` can be ordered.`,
    values: values as { [Name in Field]: { value: Name; description: string } },
  });
  return builder.inputType(`${name}Order`, {
    description: `Order of a list of the type \`${name}\`.`,
    fields: (t) => ({
      field: t.field({ type: FieldType, required: true, description: 'The field to order by.' }),
      direction: t.field({
        type: OrderDirection,
        required: true,
        defaultValue: 'ASC',
        description: 'The direction of the order. Defaults to `ASC`.',
      }),
    }),
  });
}
