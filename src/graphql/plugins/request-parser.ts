import { GraphQLError } from 'graphql';
import type { GraphQLParams, Plugin } from 'graphql-yoga';
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import { parseJson } from '../../http/json-body.ts';
import { type IncomingFile, isFile, multipart, parseMultipart } from '../../http/multipart.ts';
import { cutText } from '../../unicode.ts';
import { requestError } from '../errors.ts';

const json = /^application\/(graphql\+)?json\s*(;|$)/i;

const refused = (status: number, message: string, cause?: AppError) => requestError(status, message, cause?.details);

/** Parses requests in the three supported forms and rejects all others: JSON or multipart by POST, a query by GET. */
export function useStrictReading(): Plugin {
  return {
    onRequestParse({ request, requestParser, setRequestParser }) {
      if (request.method === 'GET' && requestParser) setRequestParser(orRefused(requestParser));
      if (request.method !== 'POST') return;
      const type = request.headers.get('content-type') ?? '';
      if (multipart.test(type))
        return setRequestParser(
          orRefused(async (body) => withFiles(await parseMultipart(await body.arrayBuffer(), type))),
        );
      if (!json.test(type)) throw refused(415, 'The content type must be application/json.');
      setRequestParser(readOperation);
    },
  };
}

function parameters(body: unknown): GraphQLParams {
  if (Array.isArray(body)) throw refused(400, 'Batching is not supported.');
  if (typeof body !== 'object' || body === null) throw refused(400, 'The request body must be a JSON object.');
  return body;
}

const FileMap = z.record(z.string(), z.array(z.string().max(500)).max(20));

/** Reads operations with uploaded files: https://github.com/jaydenseric/graphql-multipart-request-spec. */
function withFiles(form: FormData): GraphQLParams {
  const field = (name: string): unknown => {
    const value = form.get(name);
    if (typeof value !== 'string')
      throw refused(400, `A multipart request must contain the field \`${name}\`, followed by its files.`);
    return parseJson(new TextEncoder().encode(value).buffer);
  };
  const params = parameters(field('operations'));
  const map = FileMap.safeParse(field('map'));
  if (!map.success) throw refused(400, '`map` must list, for each file, its paths in `operations`.');
  for (const [name, paths] of Object.entries(map.data)) {
    const file = form.get(name);
    if (!isFile(file))
      throw refused(400, `The file ${JSON.stringify(cutText(name, 50))} that \`map\` names is missing.`);
    for (const path of paths) place(params, path.split('.'), file);
  }
  return params;
}

/** Replaces the null of a variable with its file. */
function place(params: GraphQLParams, path: string[], file: IncomingFile): void {
  let at: unknown = params;
  for (const key of path.slice(0, -1))
    at = typeof at === 'object' && at !== null && Object.hasOwn(at, key) ? (at as Record<string, unknown>)[key] : null;
  const last = path.at(-1) ?? '';
  const free =
    typeof at === 'object' && at !== null && Object.hasOwn(at, last) && (at as Record<string, unknown>)[last] === null;
  if (path[0] !== 'variables' || path.length < 2 || !free)
    throw refused(400, 'Each path in `map` must point to a variable that is null in `operations`.');
  (at as Record<string, unknown>)[last] = file;
}

type Body = Pick<Request, 'arrayBuffer'>;

/** Input that cannot be parsed is an error of the caller: invalid JSON in `variables`, an incomplete body. */
const orRefused =
  <Source extends Body>(parse: (request: Source) => unknown) =>
  async (request: Source): Promise<GraphQLParams> => {
    try {
      return (await parse(request)) as GraphQLParams;
    } catch (error) {
      if (error instanceof GraphQLError) throw error;
      if (error instanceof AppError) throw refused(400, error.message, error);
      throw refused(400, 'The request could not be read.');
    }
  };

/** Reads an operation in JSON. Throws GraphQLError. */
export const readOperation = orRefused(async (request: Body) => parameters(parseJson(await request.arrayBuffer())));
