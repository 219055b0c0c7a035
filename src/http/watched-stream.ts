/** A stream that can be ended with an error while it is read. */
export interface WatchedStream {
  stream: ReadableStream<Uint8Array>;
  fail(error: Error): void;
}

interface Watcher {
  /** Receives the number of bytes so far. Returns false to drop the bytes that have just arrived. */
  admits(size: number): boolean;
  /** Called when the stream has been read completely. */
  onRead(): void;
}

/** Returns a stream with the bytes of another one, which are counted as they arrive. */
export function watchStream(source: ReadableStream<Uint8Array>, { admits, onRead }: Watcher): WatchedStream {
  const reader = source.getReader();
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  let hasFailed = false;
  let size = 0;
  const stream = new ReadableStream<Uint8Array>(
    {
      start(started) {
        controller = started;
      },
      async pull(started) {
        const { done, value } = await reader.read();
        if (hasFailed) return;
        if (done) {
          onRead();
          return started.close();
        }
        size += value.length;
        if (admits(size)) started.enqueue(value);
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
  return {
    stream,
    fail(error) {
      hasFailed = true;
      controller?.error(error);
    },
  };
}
