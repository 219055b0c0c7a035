import type { Context } from '../context.ts';
import { reportedError } from '../error-report.ts';
import { badInput } from '../errors.ts';
import { type AnyEndpoint, type EndpointInput, mappingOf, type StreamSpec, streamRow } from './endpoint.ts';

/** Time without an event after which a heartbeat keeps proxies from closing the stream. Milliseconds. */
const heartbeatMs = 15_000;

const heartbeat = Symbol('heartbeat');

/** Yields the values of a stream, and a heartbeat after every 15 seconds without one. */
async function* withHeartbeats<T>(source: AsyncGenerator<T>): AsyncGenerator<T | typeof heartbeat> {
  let next = source.next();
  try {
    for (;;) {
      let timer: NodeJS.Timeout | undefined;
      const silence = new Promise<typeof heartbeat>((resolve) => {
        timer = setTimeout(resolve, heartbeatMs, heartbeat);
      });
      const first = await Promise.race([next, silence]).finally(() => clearTimeout(timer));
      if (first === heartbeat) {
        yield heartbeat;
        continue;
      }
      if (first.done) return;
      yield first.value;
      next = source.next();
    }
  } finally {
    void next.catch(() => {});
    void source.return(undefined).catch(() => {});
  }
}

/**
 * Skips the objects that the client already has and returns the remaining ones of the event that was reached. Throws
 * BAD_USER_INPUT when the stream ends before that.
 */
async function passOver(
  events: AsyncGenerator<unknown>,
  of: (event: unknown) => unknown[],
  cursor: number,
): Promise<unknown[]> {
  for (let passed = 0; passed < cursor; ) {
    const { value, done } = await events.next();
    if (done) throw badInput(['query', 'cursor'], `there are ${passed} lines`);
    const objects = of(value);
    if (passed + objects.length > cursor) return objects.slice(cursor - passed);
    passed += objects.length;
  }
  return [];
}

/**
 * Responds with one JSON object per line, with the content type that clients expect. An error of the caller before the
 * first event is also a line of the stream: clients read the body, not the status. For an endpoint with a `cursor` or
 * server-sent events, whose clients read the status, it is thrown.
 */
export async function streamReply(
  endpoint: AnyEndpoint,
  spec: StreamSpec<unknown, unknown, unknown, unknown, unknown>,
  input: EndpointInput<unknown, unknown, unknown>,
  context: Context,
): Promise<Response> {
  const packets = spec.packets();
  const mapping = mappingOf(
    endpoint,
    { document: spec.document, variables: spec.variables ?? endpoint.variables },
    input,
  );
  const variables = mapping.variables(input) as Record<string, unknown>;
  const [before, after] = spec.sse ? ['data: ', '\n\n'] : ['', '\n'];
  const lines = (objects: unknown[]) => objects.map((object) => `${before}${JSON.stringify(object)}${after}`).join('');
  const beat = () => (packets.heartbeat && !spec.sse ? lines([packets.heartbeat()]) : ':\n\n');
  const gone = new AbortController();
  const reading: Context = { ...context, signal: AbortSignal.any([context.signal, gone.signal]) };
  const start = async (cursor: number) => {
    const events = await streamRow(mapping, variables, reading);
    return { left: await passOver(events, packets.of, cursor), events };
  };
  // Clients of these endpoints read the status of an error.
  const begun = spec.cursor || spec.sse ? await start(spec.cursor?.(input) ?? 0) : undefined;

  async function* body(): AsyncGenerator<string> {
    let said = begun !== undefined;
    try {
      const { left, events } = begun ?? (await start(0));
      said ||= left.length > 0;
      if (left.length > 0) yield lines(left);
      for await (const event of withHeartbeats(events)) {
        said = true;
        yield event === heartbeat ? beat() : lines(packets.of(event));
      }
    } catch (error) {
      const seen = reportedError(error, context.scope);
      // The status of these errors makes clients retry.
      if ((seen.code === 'RATE_LIMITED' || seen.code === 'UNAVAILABLE') && !said) throw seen;
      yield lines(packets.failed(seen));
      return;
    }
    if (spec.sse?.end) yield `data: ${spec.sse.end}\n\n`;
  }

  const chunks = body();
  // The first line is awaited, so that a rate limit still has its own status. A resumed stream has already started, and
  // its next line can take long.
  const first = begun ? undefined : await chunks.next();
  const stream = textStream(chunks, { ...(first && { first }), onCancel: () => gone.abort() });
  return new Response(stream, {
    headers: {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    },
  });
}

export interface TextStreamOptions {
  /** A value that was already read. */
  first?: IteratorResult<string>;
  /** Called when the client disconnects. */
  onCancel?: () => void;
  /** Called on an error. Otherwise the HTTP server would write its message into the body and end it normally. */
  onError?: (error: unknown) => void;
}

/** Returns text as a response body, generated as fast as the client reads it. */
export function textStream(
  chunks: AsyncGenerator<string>,
  { first, onCancel, onError }: TextStreamOptions = {},
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream<Uint8Array>({
    start(controller) {
      if (first?.value) controller.enqueue(encoder.encode(first.value));
      if (first?.done) controller.close();
    },
    async pull(controller) {
      try {
        let next = await chunks.next();
        // A stream that enqueues no chunk when it is pulled is not pulled again.
        while (!next.done && next.value === '') next = await chunks.next();
        if (next.done) controller.close();
        else controller.enqueue(encoder.encode(next.value));
      } catch (error) {
        onError?.(error);
        controller.error(new Error('The stream broke off.'));
      }
    },
    async cancel() {
      onCancel?.();
      // Ends a generator that is not waiting for the signal because its next line was not requested.
      await chunks.return(undefined);
    },
  });
}
