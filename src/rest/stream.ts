import { AsyncResource } from 'node:async_hooks';
import type { Context } from '../context.ts';
import { reportedError } from '../error-report.ts';
import { badInput } from '../errors.ts';
import { type AnyRow, type RowInput, type StreamSpec, streamRow } from './row.ts';

/** Silence after which a heartbeat keeps proxies from closing the stream. Milliseconds. */
const heartbeatMs = 15_000;

const heartbeat = Symbol('heartbeat');

/** The values of a stream, and a heartbeat for every 15 seconds in which none comes. */
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
 * Takes from a stream what its client has already, and returns the objects that are left of the event in which that
 * ends. Throws BAD_USER_INPUT when the stream ends first.
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
 * Answers with one JSON object a line, under the content type that clients expect of it. A caller's mistake that is
 * found before the first event is a line of the stream too: clients read the body, not the status. Those who resume
 * read the status first: where the row has a `cursor`, or sends server-sent events, this throws such a mistake.
 */
export async function streamReply(
  row: AnyRow,
  spec: StreamSpec<unknown, unknown, unknown, unknown, unknown>,
  input: RowInput<unknown, unknown, unknown>,
  context: Context,
): Promise<Response> {
  const packets = spec.packets();
  const variables = (spec.variables ?? row.variables)(input) as Record<string, unknown>;
  const [before, after] = spec.sse ? ['data: ', '\n\n'] : ['', '\n'];
  const lines = (objects: unknown[]) => objects.map((object) => `${before}${JSON.stringify(object)}${after}`).join('');
  const beat = () => (packets.heartbeat && !spec.sse ? lines([packets.heartbeat()]) : ':\n\n');
  const gone = new AbortController();
  const reading: Context = { ...context, signal: AbortSignal.any([context.signal, gone.signal]) };
  const start = async (cursor: number) => {
    const events = await streamRow(spec.document, variables, reading);
    return { left: await passOver(events, packets.of, cursor), events };
  };
  // Where clients read the status, what is wrong is told with it.
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
      const seen = reportedError(error);
      // These have a status that tells clients to try again.
      if ((seen.code === 'RATE_LIMITED' || seen.code === 'UNAVAILABLE') && !said) throw seen;
      yield lines(packets.failed(seen));
      return;
    }
    if (spec.sse?.end) yield `data: ${spec.sse.end}\n\n`;
  }

  const chunks = body();
  // The first line is awaited here, so that a limit can still answer with its own status. For who resumes the reply has
  // begun, and the next line may be long in coming.
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
  /** What was already taken from it. */
  first?: IteratorResult<string>;
  /** The client went away. */
  onCancel?: () => void;
  /** It cannot go on. The HTTP server would write the error's message into the body, and end it as if it were whole. */
  onError?: (error: unknown) => void;
}

/** Text as the body of a reply, made as fast as the client reads. */
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
    // A reader asks from outside of the request: what goes wrong is logged with it all the same.
    pull: AsyncResource.bind(async (controller: ReadableStreamDefaultController<Uint8Array>) => {
      try {
        let next = await chunks.next();
        // A stream that is given nothing when it asks does not ask again.
        while (!next.done && next.value === '') next = await chunks.next();
        if (next.done) controller.close();
        else controller.enqueue(encoder.encode(next.value));
      } catch (error) {
        onError?.(error);
        controller.error(new Error('The stream broke off.'));
      }
    }),
    async cancel() {
      onCancel?.();
      // A reader that was not asked for its next line is not waiting for the signal either: this ends it.
      await chunks.return(undefined);
    },
  });
}
