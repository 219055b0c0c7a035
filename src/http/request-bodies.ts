import type { HttpBindings } from '@hono/node-server';
import type { Context as HonoContext } from 'hono';
import { AppError } from '../errors.ts';
import { createShares, type Release } from './shares.ts';

const mebibyte = 1024 * 1024;

/** The largest bodies, in bytes. */
export const maxBody = {
  /** Of a client without a valid credential, whatever headers it sends. */
  anonymous: mebibyte,
  /** Of a GraphQL request without files. */
  graphql: 2 * mebibyte,
  /** Of any other request without files. */
  other: 20 * mebibyte,
};

/** How many bodies of anonymous clients may be incomplete at one time, and for how long each. */
const incomplete = { perAddress: 16, total: 64, milliseconds: 20_000 };

/**
 * Bytes of large bodies that are received or handled at one time; others wait, unread. Parsed, a body takes several times
 * its size.
 */
const large = { perUser: 64 * mebibyte, total: 192 * mebibyte };

/** Why a body was not read to its end: the status of the response, and its message. */
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
  /** Why the body cannot be read. Set at any time; whatever the handler made of the request is then discarded. */
  readonly failure: BodyFailure | null;
  /**
   * Lowers the limit for a client that is not authenticated, and limits how many such bodies are incomplete and for how
   * long: the oldest one ends when there is one too many. Throws BAD_USER_INPUT when `failure` says more.
   */
  restrict(address: string | null): void;
  /** Waits until the server has room for the body of a user. */
  makeRoom(userId: string): Promise<void>;
  /** Called when the request has been handled. */
  end(): void;
}

/**
 * Limits what is read of the bodies of requests: counted while they arrive, before anything is parsed. A body whose
 * length is not announced is replaced by one that ends at its limit.
 */
export function createRequestBodies() {
  /** The incomplete bodies of anonymous clients, oldest first. */
  const waitedFor = new Set<{ address: string | null; end(): void }>();
  const inMemory = createShares(large.perUser, large.total);

  /** Takes charge of the body of a request, of which at most `limit` bytes may be read; null when there is none. */
  return function bodyOf(c: HonoContext, limitOf: () => number): RequestBody | null {
    const announced = c.req.header('content-length');
    if (c.req.method === 'GET' || c.req.method === 'HEAD' || (announced === undefined && !c.req.raw.body)) return null;
    const length = announced === undefined ? null : Number(announced);
    const releases: Release[] = [];
    // To look for the limit of a small body would cost every request.
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

    /** Has the limit counted and the time kept while the body is read. To look at it costs a request its fast path. */
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
        if (failure) throw new AppError('BAD_USER_INPUT', failure.text);
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
