import type { Context } from '../context.ts';
import { AppError, badInput, isDatabaseUnavailable } from '../errors.ts';
import { KeyReusedError, type Reply } from '../modules/idempotency/idempotency.service.ts';
import { untilAvailable } from '../store/retry.ts';

/** A request that its sender may send again, and what makes it the same one. */
export interface Repeatable {
  secret: string;
  key: string;
  request: readonly (string | Uint8Array)[];
}

/** What of a reply's headers is its own, and not of the connection or the server. */
const kept = ['content-type', 'cache-control', 'x-accel-buffering', 'set-cookie', 'location'];

const isText = ({ headers }: Response): boolean =>
  /^(text\/|application\/json\b)/.test(headers.get('content-type') ?? 'text/plain');

/**
 * Runs a request once for each Idempotency-Key: the same request again gets the reply of the first. Only a reply that
 * says that something was done is kept; after any other, which left nothing behind, the key is free again. The work
 * goes on when its client drops the connection, so that the reply is there for who asks again. Throws CONFLICT while
 * the first is running, and what `invalid` makes of a malformed key, and of another request under a known one.
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
  // A file is not kept either: it can be asked for again.
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
      // What was asked for is done, and its sender must hear so.
      if (!isDatabaseUnavailable(error)) throw error;
      keepLater(async () => body);
    });
    return response;
  }
  const [client, record] = (response.body as ReadableStream<Uint8Array>).tee();
  keepLater(() => new Response(record).text());
  return new Response(client, response);
}
