import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020, type AnySchemaObject, type ValidateFunction } from 'ajv/dist/2020.js';
import { TrieRouter } from 'hono/router/trie-router';
import { getPathNoStrict } from 'hono/utils/url';
import { z } from 'zod';
import { projectRoot } from '../src/project-root.ts';
import { endpoints } from '../src/rest/endpoints.ts';
import { canonicalPath, dialectOf } from '../src/rest/routes.ts';

type Content = Record<string, { schema: AnySchemaObject }>;
interface OpenApi {
  paths: Record<string, Record<string, { responses: Record<string, { content?: Content }> }>>;
  components: { schemas: Record<string, AnySchemaObject> };
}
interface Operation {
  name: string;
  responses: Record<string, { content?: Content }>;
}

/**
 * Returns why the response to a REST request differs from the document, or null. The text of an attachment is generated
 * while its client reads it, so it is only compared when it is passed as `text`.
 */
export type ReplyCheck = (
  request: Pick<Request, 'url' | 'method'>,
  response: Response,
  text?: string,
) => Promise<string | null>;

/** Statuses that every path can return, which the description of the document states once. */
const general = new Set([405, 408, 421]);

/** The media types whose bodies are compared with their schemas. */
const comparedTypes = new Set(['application/json', 'text/plain', 'text/html']);

/**
 * Returns a schema that accepts only the documented properties of objects. References lead to the registered document.
 * The parts of `allOf` are closed as a whole.
 */
function closed(value: unknown, isWhole = true): unknown {
  if (Array.isArray(value)) return value.map((part) => closed(part, isWhole));
  if (typeof value !== 'object' || value === null) return value;
  const schema = value as AnySchemaObject;
  const inner = Object.entries(schema).map(([key, part]): [string, unknown] => {
    if (key === '$ref') return [key, `openapi${part}`];
    if (key === 'allOf') return [key, closed(part, false)];
    if (key === 'anyOf' || key === 'oneOf') return [key, closed(part, isWhole)];
    if (key === 'items' || key === 'additionalProperties') return [key, closed(part)];
    if (key === 'properties') return [key, mapped(part as Record<string, unknown>, (property) => closed(property))];
    return [key, part];
  });
  const isObject = '$ref' in schema || 'properties' in schema || 'allOf' in schema;
  return { ...Object.fromEntries(inner), ...(isObject && isWhole && { unevaluatedProperties: false }) };
}

const mapped = (values: Record<string, unknown>, map: (value: unknown) => unknown): Record<string, unknown> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, map(value)]));

const isFormat = (type: z.ZodType) => (text: string) => type.safeParse(text).success;

/** Creates the check of responses against an OpenAPI document. */
export function createReplyCheck({ paths, components }: OpenApi): ReplyCheck {
  const router = new TrieRouter<Operation>();
  // Only the paths of Onyx clients are also served without `/api`.
  const atRoot = new Set(endpoints.filter((row) => dialectOf(row).atRoot).map(({ path }) => `/api${path}`));
  for (const [path, methods] of Object.entries(paths))
    for (const [method, { responses }] of Object.entries(methods)) {
      const operation = { name: `${method.toUpperCase()} ${path}`, responses };
      const pattern = path.replaceAll(/\{(\w+)\}/g, ':$1');
      router.add(method.toUpperCase(), pattern, operation);
      if (atRoot.has(path)) router.add(method.toUpperCase(), pattern.replace('/api', ''), operation);
    }

  let ajv: Ajv2020 | undefined;
  function compiler(): Ajv2020 {
    if (ajv) return ajv;
    ajv = new Ajv2020({ strict: false });
    ajv.addFormat('date-time', isFormat(z.iso.datetime({ offset: true })));
    ajv.addFormat('date', isFormat(z.iso.date()));
    ajv.addFormat('uuid', isFormat(z.guid()));
    ajv.addFormat('binary', true);
    ajv.addSchema({
      $id: 'openapi',
      components: { schemas: mapped(components.schemas, (each) => closed(each, false)) },
    });
    return ajv;
  }
  /** The validators by the text of their schemas: most operations share the schemas of their errors. */
  const validators = new Map<string, ValidateFunction>();
  const known = new WeakMap<AnySchemaObject, ValidateFunction>();
  function validatorOf(schema: AnySchemaObject): ValidateFunction {
    const found = known.get(schema);
    if (found) return found;
    const text = JSON.stringify(schema);
    const validate = validators.get(text) ?? compiler().compile(closed(schema) as AnySchemaObject);
    validators.set(text, validate);
    known.set(schema, validate);
    return validate;
  }

  return async ({ url, method }, response, text) => {
    if (general.has(response.status)) return null;
    const path = canonicalPath(getPathNoStrict({ url } as Request));
    const [matches] = router.match(method === 'HEAD' ? 'GET' : method, path);
    const operation = matches[0]?.[0];
    if (!operation) return null;
    const say = async (what: string) =>
      `${operation.name} ${response.status}: ${what}. ${(text ?? (await response.clone().text())).slice(0, 500)}`;
    const documented = operation.responses[response.status];
    if (!documented) return say('the status is not listed');
    const type = response.headers.get('content-type')?.replace(/;.*/, '') ?? null;
    const { content = {} } = documented;
    const types = Object.keys(content).join(', ');
    if (type === null) return types === '' ? null : say(`the response has no content type; expected ${types}`);
    const schema = (content[type] ?? content[type.replace(/\/.*/, '/*')])?.schema;
    if (!schema) return say(`the content type ${type} is not listed`);
    const isUnread = text === undefined && response.headers.has('content-disposition');
    if (!comparedTypes.has(type) || method === 'HEAD' || isUnread) return null;
    let body: unknown = text ?? (await response.clone().text());
    try {
      if (type === 'application/json') body = JSON.parse(body as string);
    } catch {
      return say('the body is not JSON');
    }
    const validate = validatorOf(schema);
    if (validate(body)) return null;
    const problems = (validate.errors ?? []).map(
      ({ instancePath, message, params }) => `${instancePath} ${message} ${params.unevaluatedProperty ?? ''}`,
    );
    return say(problems.slice(0, 5).join('; '));
  };
}

let shared: ReplyCheck | undefined;

/** Compares a response with `schema/openapi.json`, which is read when it is first needed. */
export const mismatchOf: ReplyCheck = (...reply) => {
  shared ??= createReplyCheck(JSON.parse(readFileSync(join(projectRoot, 'schema', 'openapi.json'), 'utf8')));
  return shared(...reply);
};
