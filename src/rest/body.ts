import type { Context as HonoContext } from 'hono';
import { badInput } from '../errors.ts';
import { parseJson } from '../http/json-body.ts';
import { isFile, multipart, parseMultipart } from '../http/multipart.ts';

/** A body with a media type that the endpoint does not accept. */
export class MediaTypeError extends Error {}

const json = /^application\/([\w.+-]+\+)?json\s*(;|$)/i;
const form = /^application\/x-www-form-urlencoded\s*(;|$)/i;
const text = /^text\/plain\s*(;|$)/i;

/**
 * The bodies that an endpoint accepts besides JSON. `loose`: a form of either kind, JSON as `text/plain`, and an empty
 * body, which is `{}`. With `files`, a multipart form only.
 */
export interface BodyKinds {
  form: boolean;
  files: boolean;
  loose: boolean;
  /** Whether an empty body is read as `{}`. */
  optional: boolean;
}

/** Returns the bytes of a request's body. Throws BAD_USER_INPUT when it is incomplete. */
const bytesOf = (c: HonoContext): Promise<ArrayBuffer> =>
  c.req.arrayBuffer().catch(() => {
    throw badInput(['body'], 'broke off');
  });

const utf8 = new TextDecoder('utf-8', { fatal: true });
/** Maximum number of form fields, the same as of values in a JSON body. */
const maxFields = 20_000;

/** Parses a form. Throws BAD_USER_INPUT for invalid UTF-8 and too many fields. */
function parseForm(bytes: ArrayBuffer): URLSearchParams {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw badInput(['body'], 'is not valid UTF-8');
  }
  if (text.split('&', maxFields + 1).length > maxFields) throw badInput(['body'], `has more than ${maxFields} values`);
  return new URLSearchParams(text);
}

/** Parses fields as Express does: repeated fields, `a[]` and `a[0]` are lists, `a[b]` is an object of one level. */
function extended(form: URLSearchParams): Record<string, unknown> {
  const lists = new Map<string, string[]>();
  const objects = new Map<string, Map<string, string>>();
  const isList = new Set<string>();
  for (const [field, value] of form) {
    const [, name = field, key] = /^([^[\]]+)\[([^[\]]*)\]$/.exec(field) ?? [];
    if (key !== undefined && !/^\d*$/.test(key)) objects.set(name, (objects.get(name) ?? new Map()).set(key, value));
    else {
      const list = lists.get(name) ?? [];
      list.push(value);
      lists.set(name, list);
      if (key !== undefined || list.length > 1) isList.add(name);
    }
  }
  return Object.fromEntries([
    ...[...lists].map(([name, list]) => [name, isList.has(name) ? list : list[0]]),
    ...[...objects].map(([name, object]) => [name, Object.fromEntries(object)]),
  ]);
}

/** Parses a body according to its media type. Throws MediaTypeError, BAD_USER_INPUT. */
export async function readBody(c: HonoContext, kinds: BodyKinds): Promise<unknown> {
  const type = c.req.header('content-type') ?? '';
  if (kinds.files) {
    if (!multipart.test(type)) throw new MediaTypeError('Unsupported Media Type: send multipart/form-data');
    return listed(await parseMultipart(await bytesOf(c), type));
  }
  if (kinds.loose && multipart.test(type)) return single(listed(await parseMultipart(await bytesOf(c), type)));
  const isForm = form.test(type);
  if (!(type === '' || json.test(type) || (isForm && (kinds.form || kinds.loose)) || (kinds.loose && text.test(type))))
    throw new MediaTypeError(`Unsupported Media Type: ${type.slice(0, 100)}; send application/json`);
  const bytes = await bytesOf(c);
  // Otherwise, the last value of a repeated field is used.
  if (isForm) return kinds.loose ? extended(parseForm(bytes)) : Object.fromEntries(parseForm(bytes));
  return (kinds.loose || kinds.optional) && bytes.byteLength === 0 ? {} : parseJson(bytes);
}

/** Returns the parts of a form by name, each as a list. */
function listed(form: FormData): Record<string, unknown[]> {
  const parts: Record<string, unknown[]> = Object.create(null);
  for (const [name, value] of form.entries()) parts[name] = [...(parts[name] ?? []), value];
  return { ...parts };
}

/** Unwraps fields that were sent once; repeated fields are lists. */
const single = (parts: Record<string, unknown[]>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(parts).map(([name, values]) => [name, values.length === 1 ? values[0] : values]));

/**
 * Returns the identity of a body: its bytes, or the names and contents of files, since multipart boundaries are random.
 */
export async function identityOf(c: HonoContext): Promise<(string | Uint8Array)[]> {
  const bytes = await bytesOf(c);
  const type = c.req.header('content-type') ?? '';
  if (!multipart.test(type)) return [new Uint8Array(bytes)];
  const parts = [...(await parseMultipart(bytes, type)).entries()].map(async ([name, value]) =>
    isFile(value) ? [name, value.name, new Uint8Array(await value.arrayBuffer())] : [name, String(value)],
  );
  return (await Promise.all(parts)).flat();
}

/** Returns the query parameters; a repeated parameter is a list. */
export const queryOf = (c: HonoContext): Record<string, string | string[]> =>
  Object.fromEntries(
    Object.entries(c.req.queries()).map(([name, values]) => [name, values.length > 1 ? values : (values[0] ?? '')]),
  );
