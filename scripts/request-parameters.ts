interface Schema {
  $ref?: string;
  type?: string | string[];
  description?: string;
  properties?: Record<string, Schema>;
  items?: Schema;
  enum?: unknown[];
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
}

export interface OpenApi {
  paths: Record<
    string,
    Record<
      string,
      {
        parameters?: { in: string; name: string; description?: string; schema: Schema }[];
        requestBody?: { content: Record<string, { schema: Schema }> };
      }
    >
  >;
  components: { schemas: Record<string, Schema> };
}

/** A parameter of a request: `body.messages.*.content` is a field of each object in a list. */
export interface RequestParameter {
  path: string;
  description: string;
  /** Whether it has one possible value, such as null or a constant. */
  constant: boolean;
}

const isConstant = ({ enum: values, type }: Schema): boolean => values?.length === 1 || type === 'null';

function* fieldsOf(schema: Schema, path: string, schemas: Record<string, Schema>): Generator<RequestParameter> {
  const { properties, items, anyOf, oneOf, allOf } = schema.$ref
    ? (schemas[schema.$ref.split('/').at(-1) ?? ''] ?? {})
    : schema;
  for (const [name, field] of Object.entries(properties ?? {})) {
    yield { path: `${path}.${name}`, description: field.description ?? '', constant: isConstant(field) };
    yield* fieldsOf(field, `${path}.${name}`, schemas);
  }
  if (items) yield* fieldsOf(items, `${path}.*`, schemas);
  for (const part of [...(anyOf ?? []), ...(oneOf ?? []), ...(allOf ?? [])]) yield* fieldsOf(part, path, schemas);
}

/** Returns the query parameters and the fields of the body of an operation in the OpenAPI document. */
export function requestParameters({ paths, components }: OpenApi, method: string, path: string): RequestParameter[] {
  const { parameters = [], requestBody } = paths[path]?.[method] ?? {};
  const [body] = Object.values(requestBody?.content ?? {});
  return [
    ...parameters
      .filter((parameter) => parameter.in === 'query')
      .map(({ name, description, schema }) => ({
        path: `query.${name}`,
        description: description ?? schema.description ?? '',
        constant: isConstant(schema),
      })),
    ...(body ? fieldsOf(body.schema, 'body', components.schemas) : []),
  ];
}

/** Returns how the description of a parameter without effect begins, and null for any other parameter. */
export const withoutEffect = ({ description }: RequestParameter): 'ignored' | 'no' | null => {
  if (/^Ignored\b/.test(description)) return 'ignored';
  return /^Not supported\b/.test(description) ? 'no' : null;
};
