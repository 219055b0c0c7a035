import type { HttpBindings } from '@hono/node-server';
import type { Context as HonoContext } from 'hono';
import { AppError } from '../errors.ts';
import { createShares, type Release } from './shares.ts';

const mebibyte = 1024 * 1024;

/** Maximum sizes of request bodies, in bytes. */
export const maxBody = {
  /** Limit for a client without a valid credential, regardless of the headers that it sends. */
  anonymous: mebibyte,
  /** Limit for a GraphQL request without files. */
  graphql: 2 * mebibyte,
  /** Limit for any other request without files. */
  other: 20 * mebibyte,
};

/** Maximum number of incomplete bodies of anonymous clients at one time, and the time limit of each. */
const incomplete = { perAddress: 16, total: 64, milliseconds: 20_000 };

/**
 * Maximum number of bytes of large bodies that are received or processed at one time. Other bodies wait and are not
 * read. A parsed body takes several times its size in memory.
 */
const large = { perUser: 64 * mebibyte, total: 192 * mebibyte };

/** The reason why a body was not read completely: the status and message of the response. */
export interface BodyFailure {
  status: 408 | 413 | 429;
  text: string;
}

const tooLarge = (limit: number): BodyFailure => ({
  status: 413,
  text: `The body is larger than ${limit} bytes.`,
});
const tooMany: BodyFailure = { status: 429, text: 'Too many requests with incomplete bodies.' };
const tooSlow: BodyFailure = {
  status: 408,
  text: `The body did not arrive within ${incomplete.milliseconds / 1000} seconds.`,
};

export interface RequestBody {
  /** The reason why the body cannot be read. Can be set at any time; the handler's result is then discarded. */
  readonly failure: BodyFailure | null;
  /**
   * Lowers the limit for an anonymous client, and limits the number of incomplete bodies and the time for each: when
   * there is one too many, the oldest one is ended. Throws BAD_USER_INPUT when `failure` is set, which contains the
   * details.
   */
  restrict(address: string | null): void;
  /** Waits until the server has room for the body of a user's request. */
  makeRoom(userId: string): Promise<void>;
  /** Must be called when the request has been handled. */
  end(): void;
}

/**
 * Limits the size of request bodies. Bytes are counted as they arrive, before anything is parsed. A body without an
 * announced length is replaced by one that ends at its limit.
 */
export function createRequestBodies() {
  /** Incomplete bodies of anonymous clients, oldest first. */
  const waitedFor = new Set<{ address: string | null; end(): void }>();
  const inMemory = createShares(large.perUser, large.total);

  /** Controls how the body of a request is read, up to `limit` bytes. Returns null for a request without a body. */
  return function bodyOf(c: HonoContext, limitOf: () => number): RequestBody | null {
    const announced = c.req.header('content-length');
    if (c.req.method === 'GET' || c.req.method === 'HEAD' || (announced === undefined && !c.req.raw.body)) return null;
    const length = announced === undefined ? null : Number(announced);
    const releases: Release[] = [];
    // Determining the limit of a small body would slow down every request.
    let limit = length !== null && length <= maxBody.anonymous ? maxBody.anonymous : limitOf();
    let failure: BodyFailure | null = length !== null && length > limit ? tooLarge(limit) : null;
    let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
    let isRead = false;
    let onRead: Release = () => {};

    function fail(reason: BodyFailure): void {
      if (failure || isRead) return;
      failure = reason;
      controller?.error(new Error(reason.text));
    }

    /**
     * Enforces the size and time limits while the body is read. Accessing the body makes a request leave its fast path.
     */
    function watch(): void {
      const stream = c.req.raw.body;
      if (!stream || controller) return;
      const reader = stream.getReader();
      let size = 0;
      const body = new ReadableStream<Uint8Array>(
        {
          start(started) {
            controller = started;
          },
          async pull(started) {
            const { done, value } = await reader.read();
            if (failure) return;
            if (done) {
              isRead = true;
              onRead();
              return started.close();
            }
            size += value.length;
            if (size <= limit) started.enqueue(value);
            else fail(tooLarge(limit));
          },
          cancel: (reason) => reader.cancel(reason),
        },
        { highWaterMark: 0 },
      );
      c.req.raw = new Request(c.req.raw, { body, duplex: 'half' } as RequestInit);
    }

    if (length === null) watch();

    return {
      get failure() {
        return failure;
      },

      restrict(address) {
        limit = Math.min(limit, maxBody.anonymous);
        if (length !== null && length > limit) fail(tooLarge(limit));
        if (failure) throw new AppError('BAD_USER_INPUT', 'INVALID_REQUEST', failure.text);
        const { incoming } = (c.env ?? {}) as Partial<HttpBindings>;
        if (!incoming || incoming.complete) return;
        const entry = { address, end: () => fail(tooMany) };
        const timer = setTimeout(() => fail(tooSlow), incomplete.milliseconds);
        onRead = () => {
          clearTimeout(timer);
          waitedFor.delete(entry);
        };
        releases.push(onRead);
        watch();
        waitedFor.add(entry);
        const ofAddress = [...waitedFor].filter((other) => other.address === address);
        if (ofAddress.length > incomplete.perAddress) ofAddress[0]?.end();
        else if (waitedFor.size > incomplete.total) [...waitedFor][0]?.end();
      },

      async makeRoom(userId) {
        const size = length ?? limit;
        if (size > maxBody.anonymous) releases.push(await inMemory.wait(userId, size));
      },

      end() {
        for (const release of releases) release();
      },
    };
  };
}
