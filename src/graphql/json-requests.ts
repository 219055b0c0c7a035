import type { ExecutionResult } from 'graphql';
import { getSSEProcessor, isAsyncIterable, processRegularResult } from 'graphql-yoga';
import type { Context } from '../context.ts';
import { maskError } from './errors.ts';
import { readOperation } from './plugins/request-parser.ts';
import type { GraphQLServer } from './yoga.ts';

/** The request of an operation, as plugins read it. A request of the Fetch API is one. */
export interface OperationRequest {
  method: string;
  url: string;
  headers: Pick<Headers, 'get' | 'has'>;
}

type Format = 'application/json' | 'application/graphql-response+json' | 'text/event-stream';

const json = /^application\/(graphql\+)?json\s*(;|$)/i;

/** Returns whether a request is an operation in JSON by POST. */
export const isJsonOperation = ({ method, headers }: OperationRequest): boolean =>
  method === 'POST' && json.test(headers.get('content-type') ?? '');

/**
 * Returns the format of a result that is not a stream: the first media type of the `Accept` header that is JSON, or else
 * server-sent events. Returns null for a header that admits neither.
 */
export function formatOf(accept: string | null): Format | null {
  if (!accept || accept === '*/*') return 'application/json';
  let streams = false;
  for (const range of accept.toLowerCase().replaceAll(/\s/g, '').split(',')) {
    const [type, ...parameters] = range.split(';');
    const charset = parameters.find((parameter) => parameter.includes('charset='));
    if (charset !== undefined && charset !== 'charset=utf-8') continue;
    if (type === '*/*' || type === 'application/*' || type === 'application/json') return 'application/json';
    if (type === 'application/graphql-response+json') return type;
    streams ||= type === 'text/event-stream' || type === 'text/*';
  }
  return streams ? 'text/event-stream' : null;
}

/** A response whose body is known. Created like a `Response`, at a fraction of the cost. */
export class JsonReply {
  readonly status: number;
  readonly headers: Record<string, string>;
  constructor(
    readonly body: string,
    { status, headers }: { status: number; headers: Record<string, string> },
  ) {
    this.status = status;
    this.headers = headers;
  }
}

type FetchApi = Parameters<typeof processRegularResult>[1];
const capturing = { Response: JsonReply } as unknown as FetchApi;
const toStream = getSSEProcessor();

type Result = AsyncIterable<ExecutionResult> | ExecutionResult;

/**
 * Executes an operation whose JSON has been received, with all plugins of Yoga, and without the objects of the Fetch API
 * that Yoga creates for each request. Returns a `Response` only for a stream.
 */
export async function executeJson(
  yoga: GraphQLServer,
  { request, format }: { request: OperationRequest & Pick<Request, 'arrayBuffer'>; format: Format },
  context: Context,
): Promise<Response | JsonReply> {
  let result: Result;
  try {
    const params = await readOperation(request);
    result = (await yoga.getResultForParams({ params, request: request as Request }, context)) as Result;
  } catch (error) {
    const masked = maskError(error, context.scope);
    context.scope.failure = String(masked.extensions.reason ?? masked.extensions.code);
    result = { errors: [masked] };
  }
  if (isAsyncIterable(result) || format === 'text/event-stream')
    return toStream(result as never, globalThis as unknown as FetchApi, format);
  return processRegularResult(result as never, capturing, format) as unknown as JsonReply;
}
