import { Ajv2020, type AnySchemaObject, type ValidateFunction } from 'ajv/dist/2020.js';
import { endpoints } from '../src/rest/endpoints.ts';
import { openApiDocument } from '../src/rest/openapi.ts';
import { dialectOf } from '../src/rest/routes.ts';

interface Operation {
  responses: Record<string, { content?: Record<string, { schema: AnySchemaObject }> }>;
}
interface OpenApi {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, AnySchemaObject> };
}
interface Described {
  name: string;
  method: string;
  pattern: RegExp;
  responses: Operation['responses'];
}

/** Statuses that every path can return, which the document states once. */
const general = new Set([405, 408, 421]);

let described: Described[] | undefined;
let ajv: Ajv2020 | undefined;
const validators = new Map<AnySchemaObject, ValidateFunction>();

/** Reads the document when it is first needed: most test files send few REST requests. */
function operations(): Described[] {
  if (described) return described;
  const document = openApiDocument() as OpenApi;
  ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema({ $id: 'openapi', components: document.components });
  // Only the paths of Onyx clients are also served without `/api`.
  const atRoot = new Set(endpoints.filter((row) => dialectOf(row).atRoot).map(({ path }) => `/api${path}`));
  described = Object.entries(document.paths).flatMap(([path, methods]) => {
    const shape = path
      .replace(/^\/api/, '')
      .replaceAll('.', '\\.')
      .replaceAll(/\{\w+\}/g, '[^/]+');
    return Object.entries(methods).map(([method, { responses }]) => ({
      name: `${method.toUpperCase()} ${path}`,
      method: method.toUpperCase(),
      pattern: new RegExp(`^/api${shape}/?$`.replace('/api', atRoot.has(path) ? '(?:/api)?' : '/api'), 'i'),
      responses,
    }));
  });
  return described;
}

/** Returns a schema with references into the registered document. */
const absolute = (schema: AnySchemaObject): AnySchemaObject =>
  JSON.parse(JSON.stringify(schema).replaceAll('"#/components/', '"openapi#/components/'));

function validatorOf(schema: AnySchemaObject): ValidateFunction {
  let found = validators.get(schema);
  if (!found) {
    found = (ajv as Ajv2020).compile(absolute(schema));
    validators.set(schema, found);
  }
  return found;
}

/**
 * Returns why a REST response does not match openapi.json, or null: its status is not listed, its media type is not, or
 * its body does not match the schema.
 */
export async function mismatchOf(request: Pick<Request, 'url' | 'method'>, response: Response): Promise<string | null> {
  const { pathname } = new URL(request.url);
  if (general.has(response.status) || response.status === 304) return null;
  const operation = operations().find(({ method, pattern }) => method === request.method && pattern.test(pathname));
  if (!operation) return null;
  const at = `${operation.name} ${response.status}`;
  const documented = operation.responses[response.status];
  if (!documented) return `${at}: the status is not listed. ${(await response.clone().text()).slice(0, 300)}`;
  const type = response.headers.get('content-type')?.replace(/;.*/, '') ?? null;
  const types = Object.keys(documented.content ?? {});
  if (type === null) return types.length === 0 ? null : `${at}: has no content type, of ${types}`;
  // Files and exports have the type of their content.
  if (response.ok && types.some((each) => each === 'application/octet-stream' || each === 'text/plain')) return null;
  const schema = documented.content?.[type]?.schema;
  if (!schema) return `${at}: the content type ${type} is not listed. ${(await response.clone().text()).slice(0, 300)}`;
  if (type !== 'application/json') return null;
  const body: unknown = await response.clone().json();
  const validate = validatorOf(schema);
  if (validate(body)) return null;
  const problems = (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
  return `${at}: ${problems.slice(0, 5).join('; ')}. ${JSON.stringify(body).slice(0, 500)}`;
}
