import { GraphQLError } from 'graphql';
import type { GraphQLParams, Plugin } from 'graphql-yoga';
import { AppError } from '../../errors.ts';
import { parseJson } from '../../json.ts';

const json = /^application\/(graphql\+)?json\s*(;|$)/i;

const refused = (status: number, message: string, cause?: AppError) =>
  new GraphQLError(message, { extensions: { code: 'BAD_USER_INPUT', ...cause?.details, http: { status } } });

/** Reads requests in the two forms that are served, JSON by POST and a query string by GET, and refuses all others. */
export function useStrictReading(): Plugin {
  return {
    onRequestParse({ request, requestParser, setRequestParser }) {
      if (request.method === 'GET' && requestParser) setRequestParser(orRefused(requestParser));
      if (request.method !== 'POST') return;
      if (!json.test(request.headers.get('content-type') ?? '')) throw refused(415, 'Send application/json.');
      setRequestParser(orRefused(async (body) => parameters(parseJson(await body.arrayBuffer()))));
    },
  };
}

function parameters(body: unknown): GraphQLParams {
  if (Array.isArray(body)) throw refused(400, 'Batching is not supported.');
  if (typeof body !== 'object' || body === null) throw refused(400, 'The body is not a JSON object.');
  return body;
}

/** Whatever cannot be read is the caller's mistake: no JSON in `variables`, a body that breaks off. */
const orRefused =
  (parse: (request: Request) => unknown) =>
  async (request: Request): Promise<GraphQLParams> => {
    try {
      return (await parse(request)) as GraphQLParams;
    } catch (error) {
      if (error instanceof GraphQLError) throw error;
      if (error instanceof AppError) throw refused(400, error.message, error);
      throw refused(400, 'The request could not be read.');
    }
  };
