import type { HttpBindings } from '@hono/node-server';
import type { Context as HonoContext } from 'hono';
import { AppError } from '../errors.ts';
import type { BodyFailure } from './body-failure.ts';
import { createIncompleteBodies } from './incomplete-bodies.ts';
import { createShares, type Release } from './shares.ts';
import { type WatchedStream, watchStream } from './watched-stream.ts';

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

/**
 * Maximum number of bytes of large bodies that are received or processed at one time. Other bodies wait and are not
 * read. A parsed body takes several times its size in memory.
 */
const large = { perUser: 64 * mebibyte, total: 192 * mebibyte };

const tooLarge = (limit: number): BodyFailure => ({
  status: 413,
  text: `The body is larger than ${limit} bytes.`,
});

/** The body of a request with its limits. */
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
  const incompleteBodies = createIncompleteBodies();
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
    let watched: WatchedStream | undefined;
    let isRead = false;
    let onRead: Release = () => {};

    function fail(reason: BodyFailure): void {
      if (failure || isRead) return;
      failure = reason;
      watched?.fail(new Error(reason.text));
    }

    /**
     * Enforces the size and time limits while the body is read. Accessing the body makes a request leave its fast path.
     */
    function watch(): void {
      const source = c.req.raw.body;
      if (!source || watched) return;
      watched = watchStream(source, {
        admits(size) {
          if (size > limit) fail(tooLarge(limit));
          return size <= limit;
        },
        onRead() {
          isRead = true;
          onRead();
        },
      });
      c.req.raw = new Request(c.req.raw, { body: watched.stream, duplex: 'half' } as RequestInit);
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
        watch();
        onRead = incompleteBodies.add(address, fail);
        releases.push(onRead);
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
