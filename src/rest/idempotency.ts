import type { Context } from '../context.ts';
import { AppError, badInput, isDatabaseUnavailable } from '../errors.ts';
import { KeyReusedError, type Reply } from '../modules/idempotency/idempotency.service.ts';
import { untilAvailable } from '../store/retry.ts';

/** A request that its sender can repeat, and its identity. */
export interface Repeatable {
  secret: string;
  key: string;
  request: readonly (string | Uint8Array)[];
}

/** The headers of a response that are stored; others belong to the connection or the server. */
const kept = ['content-type', 'cache-control', 'x-accel-buffering', 'set-cookie', 'location'];

const isText = ({ headers }: Response): boolean =>
  /^(text\/|application\/json\b)/.test(headers.get('content-type') ?? 'text/plain');

/**
 * Runs a request once per Idempotency-Key: a repeated request gets the first response. Only a successful response is
 * stored; any other response means that no data changed, and the key is released. The work continues when its client
 * disconnects, so that the response is available for a retry. Throws CONFLICT while the first request is running, and
 * the result of `invalid` for a malformed key and for a different request with a known key.
 */
export async function idempotently(
  { secret, key, request }: Repeatable,
  context: Context,
  run: (context: Context) => Promise<Response>,
  invalid: (error: AppError) => Error,
): Promise<Response> {
  const { idempotency } = context.services;
  const claim = await idempotency.claim(secret, key, request).catch((error: unknown) => {
    if (error instanceof KeyReusedError) throw invalid(badInput(['Idempotency-Key'], 'was used for another request'));
    throw error instanceof AppError && error.code === 'BAD_USER_INPUT' ? invalid(error) : error;
  });
  if (!claim.first) {
    const { status, headers, body } = claim.reply;
    return new Response(body === '' ? null : body, { status, headers: { ...headers, 'Idempotency-Replayed': 'true' } });
  }
  let response: Response;
  try {
    response = await run({ ...context, signal: new AbortController().signal });
  } catch (error) {
    await claim.release();
    throw error;
  }
  // A file is not stored, since it can be requested again.
  if (!response.ok || !isText(response)) {
    await claim.release();
    return response;
  }
  const headers: Reply['headers'] = {};
  for (const name of kept) {
    const value = response.headers.get(name);
    if (value !== null) headers[name] = value;
  }
  const keep = (body: string) => claim.keep({ status: response.status, headers, body });
  const keepLater = (body: () => Promise<string>) =>
    context.services.background.run('idempotent reply', async () => {
      const text = await body();
      await untilAvailable(() => keep(text));
    });
  if (!headers['content-type']?.startsWith('text/event-stream')) {
    const body = response.body ? await response.clone().text() : '';
    await keep(body).catch((error: unknown) => {
      // The operation has succeeded, so the caller must receive its response.
      if (!isDatabaseUnavailable(error)) throw error;
      keepLater(async () => body);
    });
    return response;
  }
  const [client, record] = (response.body as ReadableStream<Uint8Array>).tee();
  keepLater(() => new Response(record).text());
  return new Response(client, response);
}
