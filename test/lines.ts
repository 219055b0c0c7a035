/** Yields the objects of a body with one JSON object per line. Leaving early closes the connection. */
export async function* jsonLines(response: Response): AsyncGenerator<any, void, undefined> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = '';
  try {
    for (;;) {
      const { value, done } = (await reader?.read()) ?? { value: undefined, done: true };
      if (done) break;
      buffer += value;
      const lines = buffer.split('\n');
      buffer = lines.pop() ?? '';
      for (const line of lines) yield JSON.parse(line);
    }
  } finally {
    await reader?.cancel();
  }
  if (buffer !== '') throw new Error(`a line without an end: ${buffer}`);
}

/** Returns the items of a stream until it ends or, with `last`, until one matches. The stream stays open. */
export async function gather<T>(stream: AsyncGenerator<T>, last?: (item: T) => boolean): Promise<T[]> {
  const items: T[] = [];
  for (;;) {
    const { value, done } = await stream.next();
    if (done) return items;
    items.push(value);
    if (last?.(value)) return items;
  }
}
