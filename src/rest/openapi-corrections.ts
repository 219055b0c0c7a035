/**
 * Returns a document in which a nullable reference accepts null. The generator combines the reference with
 * `type: [object, null]` in `allOf`, which no null matches.
 */
export function withNullableReferences(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(withNullableReferences);
  const { allOf, ...rest } = value as { allOf?: { $ref?: string; type?: unknown }[] };
  const [reference, nullable, ...others] = allOf ?? [];
  if (reference?.$ref && others.length === 0 && Array.isArray(nullable?.type) && nullable.type.includes('null')) {
    const { type: _type, ...annotations } = nullable;
    return { ...rest, anyOf: [reference, { type: 'null' }], ...annotations };
  }
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, withNullableReferences(inner)]));
}

/** A parameter of an operation in the generated document. */
export interface Parameter {
  in: string;
  required?: boolean;
  schema: { type?: string | string[] };
}

/**
 * Describes the values of a parameter as they are written in a URL. A schema that parses numbers would accept any value;
 * values in a URL are never null, and every part of a path is required.
 */
export function describeAsWritten(parameter: Parameter): void {
  const { schema } = parameter;
  if (parameter.in === 'path') parameter.required = true;
  if (!Array.isArray(schema.type)) return;
  const [type, ...others] = schema.type.filter((name) => name !== 'null');
  if (type !== undefined && others.length === 0) schema.type = type;
}
