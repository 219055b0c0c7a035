import type { Context as HonoContext } from 'hono';
import { badInput } from '../errors.ts';
import { isFile, multipart, parseMultipart } from '../form.ts';
import { parseJson } from '../json.ts';

/** A body whose media type the row does not take. */
export class MediaTypeError extends Error {}

const json = /^application\/([\w.+-]+\+)?json\s*(;|$)/i;
const form = /^application\/x-www-form-urlencoded\s*(;|$)/i;
const text = /^text\/plain\s*(;|$)/i;

/**
 * Which bodies a row takes beside JSON. `loose`: a form of either kind, JSON under `text/plain`, and nothing at all,
 * which is `{}`. With `files` it takes a multipart form, and nothing else.
 */
export interface BodyKinds {
  form: boolean;
  files: boolean;
  loose: boolean;
  /** Whether an empty body is `{}`. */
  optional: boolean;
}

/** The bytes of a request's body. Throws BAD_USER_INPUT when it broke off. */
export const bytesOf = (c: HonoContext): Promise<ArrayBuffer> =>
  c.req.arrayBuffer().catch(() => {
    throw badInput(['body'], 'broke off');
  });

const utf8 = new TextDecoder('utf-8', { fatal: true });
/** Fields in a form: as many as a JSON body may have values. */
const mostFields = 20_000;

/** The fields of a form. Throws BAD_USER_INPUT for what is not UTF-8, or too much. */
function parseForm(bytes: ArrayBuffer): URLSearchParams {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw badInput(['body'], 'is not valid UTF-8');
  }
  if (text.split('&', mostFields + 1).length > mostFields)
    throw badInput(['body'], `has more than ${mostFields} values`);
  return new URLSearchParams(text);
}

/** Reads fields as Express does: what is repeated, `a[]` and `a[0]` are lists, `a[b]` is an object of one level. */
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

/** Reads a body as what it says it is. Throws MediaTypeError, BAD_USER_INPUT. */
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
  // Elsewhere the last one counts of a field that is repeated.
  if (isForm) return kinds.loose ? extended(parseForm(bytes)) : Object.fromEntries(parseForm(bytes));
  return (kinds.loose || kinds.optional) && bytes.byteLength === 0 ? {} : parseJson(bytes);
}

/** The parts of a form by name, each a list. */
function listed(form: FormData): Record<string, unknown[]> {
  const parts: Record<string, unknown[]> = Object.create(null);
  for (const [name, value] of form.entries()) parts[name] = [...(parts[name] ?? []), value];
  return { ...parts };
}

/** What came once is itself, and what came several times a list. */
const single = (parts: Record<string, unknown[]>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(parts).map(([name, values]) => [name, values.length === 1 ? values[0] : values]));

/** What makes a body the same one: its bytes; of files their names and bytes, since the marks between are made up. */
export async function identityOf(c: HonoContext): Promise<(string | Uint8Array)[]> {
  const bytes = await bytesOf(c);
  const type = c.req.header('content-type') ?? '';
  if (!multipart.test(type)) return [new Uint8Array(bytes)];
  const parts = [...(await parseMultipart(bytes, type)).entries()].map(async ([name, value]) =>
    isFile(value) ? [name, value.name, new Uint8Array(await value.arrayBuffer())] : [name, String(value)],
  );
  return (await Promise.all(parts)).flat();
}

/** Query parameters; one that is repeated is a list. */
export const queryOf = (c: HonoContext): Record<string, string | string[]> =>
  Object.fromEntries(
    Object.entries(c.req.queries()).map(([name, values]) => [name, values.length > 1 ? values : (values[0] ?? '')]),
  );
