/** The name of the only property of an object that represents a date in JSON. */
const dateKey = '@date';

/** Returns an event as JSON that keeps its dates. */
export const encodeEvent = (event: unknown): string =>
  JSON.stringify(event, function (this: Record<string, unknown>, key, value: unknown) {
    const original = this[key];
    return original instanceof Date ? { [dateKey]: original.getTime() } : value;
  });

/** Returns the event of a JSON text of {@link encodeEvent}. */
export const decodeEvent = <Event>(text: string): Event =>
  JSON.parse(text, (_key, value: unknown) =>
    typeof value === 'object' && value !== null && dateKey in value && typeof value[dateKey] === 'number'
      ? new Date(value[dateKey])
      : value,
  ) as Event;
