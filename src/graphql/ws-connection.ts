import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { type ExecutionResult, GraphQLError } from 'graphql';
import { CloseCode, type Message, MessageType, validateMessage } from 'graphql-ws';
import { type GraphQLParams, isAsyncIterable } from 'graphql-yoga';
import type { RawData, WebSocket } from 'ws';
import type { Client, Principal, Viewer } from '../authz/principal.ts';
import type { Context } from '../context.ts';
import { reportedError } from '../error-report.ts';
import { noteRequest, noteToken } from '../http/access-log.ts';
import { parseJson } from '../http/json-body.ts';
import { requestIdOf } from '../http/request-id.ts';
import { currentRequest, type Log } from '../log.ts';
import type { Services } from '../services.ts';
import { maskError } from './errors.ts';
import type { GraphQLServer } from './yoga.ts';

/** Limits of one connection. Times are in milliseconds. */
const limits = {
  /** Maximum length of an operation ID, which every message about the operation repeats. */
  id: 256,
  /** Maximum number of operations whose results the client is waiting for. */
  operations: 100,
  /** The same, including operations that were completed and have not ended yet, and unanswered pings. */
  underWay: 200,
  /** Maximum number of unanswered pings before the client has authenticated. */
  unknown: 10,
  /** Time from the upgrade to `connection_init`. */
  initialisation: 10_000,
  /** Interval of pings. A client that answers neither of two pings is disconnected when the third is due. */
  ping: 12_000,
};

/** Close codes: those of the protocol, and one for every credential that does not work. */
const ends = {
  unauthorized: [CloseCode.Unauthorized, 'Unauthorized'],
  notInTime: [CloseCode.ConnectionInitialisationTimeout, 'Connection initialisation timeout'],
  initialisedTwice: [CloseCode.TooManyInitialisationRequests, 'Too many initialisation requests'],
  tooMuchUnderWay: [CloseCode.TooManyInitialisationRequests, 'Too many operations under way'],
  invalid: [CloseCode.BadRequest, 'Invalid message received'],
  idTaken: [CloseCode.SubscriberAlreadyExists, 'Subscriber already exists'],
  failed: [CloseCode.InternalServerError, 'Internal server error'],
  /**
   * Sent when the database is not available to authenticate the client. "Try again later" is from the registry of RFC
   * 6455.
   */
  unavailable: [1013, 'Try again later'],
  goingAway: [1001, 'Going away'],
} as const;

/** A principal with its secret. */
interface Holder {
  viewer: Viewer | 'refused';
  secret: string | null;
}

export interface SocketOptions {
  yoga: GraphQLServer;
  services: Pick<Services, 'credentials' | 'revocations'>;
  log: Log;
  clientOf(headers: Headers, remoteAddress: string | undefined): Client;
  /** Identifies the principal from the headers. */
  identify(headers: Headers, client: Client): Promise<Holder>;
  /** Identifies the principal and counts the request. Throws RATE_LIMITED. */
  authenticate(headers: Headers, client: Client): Promise<Holder>;
  contextOf(request: Pick<Context, 'principal' | 'client' | 'log' | 'requestId' | 'signal'>): Context;
}

export interface OpenSocket {
  /** Closes the connection with 1001 once no operation is running. */
  leave(): void;
  /** Closes the connection immediately. */
  drop(): void;
  /** Resolves when the connection is closed and all of its operations have ended. */
  over: Promise<void>;
}

/** Yoga reads the method, since mutations must not be sent by GET. */
const asPost = new Request('http://localhost/graphql', { method: 'POST' });

/**
 * Serves one connection from its upgrade to its end. The messages of the protocol and their validation come from
 * graphql-ws. The loop is our own: an operation ends as soon as its client completes it, counts for as long as it runs,
 * and never answers for a later operation with the same ID.
 */
export function serveSocket(socket: WebSocket, request: IncomingMessage, options: SocketOptions): OpenSocket {
  const { services, log } = options;
  const headers = headersOf(request);
  const client = options.clientOf(headers, request.socket.remoteAddress);
  noteRequest(request, { requestId: requestIdOf(headers), client: client.address, tokenId: null });
  let initialised = false;
  let acknowledged = false;
  let ended = false;
  let secret: string | null = null;
  let watch: ReturnType<Services['revocations']['watch']> | undefined;
  /** The operations whose results the client is waiting for, by ID. */
  const operations = new Map<string, AbortController>();
  let underWay = 0;
  /** Called when no operation is running any more. */
  let idle = () => {};
  /** Number of pings since the last sign of life of the client. */
  let unanswered = 0;

  const initialisation = setTimeout(() => end(...ends.notInTime), limits.initialisation).unref();
  const pings = setInterval(() => {
    if (unanswered === 2) return socket.terminate();
    unanswered++;
    socket.ping();
  }, limits.ping).unref();

  /** Stops reading and writing, and cancels running operations. */
  function stop(): void {
    ended = true;
    clearTimeout(initialisation);
    clearInterval(pings);
    watch?.done();
    for (const controller of operations.values()) controller.abort();
    operations.clear();
  }

  function end(code: number, reason: string): void {
    if (ended) return;
    stop();
    socket.close(code, reason);
  }

  function drop(): void {
    end(...ends.goingAway);
    socket.terminate();
  }

  /**
   * Closes the connection because of an error. The close reason contains the request ID under which the error is
   * logged.
   */
  function fail(error: unknown): void {
    const [code, reason] = reportedError(error).code === 'UNAVAILABLE' ? ends.unavailable : ends.failed;
    const { requestId } = currentRequest.getStore() ?? {};
    end(code, requestId ? `${reason}. Request id: ${requestId}` : reason);
  }

  /** Runs work that does not belong to an operation under a new request ID. */
  function asRequest<T>(work: (request: Pick<Context, 'requestId' | 'log'>) => T): T {
    const requestId = randomUUID();
    const request = { requestId, log: log.child({ requestId }) };
    return currentRequest.run(request, () => work(request));
  }

  let lastSent: Promise<void> = Promise.resolve();
  /**
   * Sends one message at a time, each after the previous one was written. An operation waits for its message, so a slow
   * client delays only its own operations and no messages pile up.
   */
  function send(message: object): Promise<void> {
    lastSent = lastSent.then(
      () =>
        new Promise((resolve) => {
          if (ended) resolve();
          // An error means that the socket is closed, or will be.
          else socket.send(JSON.stringify(message), () => resolve());
        }),
    );
    return lastSent;
  }

  /** Runs work that counts toward the limit of concurrent operations. */
  async function counted(work: () => Promise<void>): Promise<void> {
    if (underWay === (acknowledged ? limits.underWay : limits.unknown)) return end(...ends.tooMuchUnderWay);
    underWay++;
    try {
      await work();
    } finally {
      if (--underWay === 0) idle();
    }
  }

  function whenIdle(then: () => void): void {
    if (underWay === 0) then();
    else idle = then;
  }

  /** Closes the connection when its credential ends. */
  function follow(principal: Principal): void {
    watch?.done();
    watch = services.revocations.watch(principal);
    const check = () => asRequest(() => void lookAgain().catch(fail));
    if (watch.signal.aborted) check();
    else watch.signal.addEventListener('abort', check, { once: true });
  }

  /**
   * Streams also end when their credential loses a permission. The connection stays open, and its next operation has
   * fewer permissions.
   */
  async function lookAgain(): Promise<void> {
    const authenticatedAt = performance.now();
    const principal = secret === null ? null : await services.credentials.inspect(secret);
    if (ended) return;
    if (principal) follow({ ...principal, authenticatedAt });
    else end(...ends.unauthorized);
  }

  /** Returns the current principal. Closes the connection and returns null when the credential no longer works. */
  async function speaker(ask: SocketOptions['identify']): Promise<Principal | null> {
    const holder = await ask(headers, client);
    if (ended) return null;
    if (holder.viewer === null || holder.viewer === 'refused') {
      end(...ends.unauthorized);
      return null;
    }
    secret = holder.secret;
    noteToken(request, holder.viewer.credential.tokenId);
    follow(holder.viewer);
    return holder.viewer;
  }

  async function initialise(payload: Record<string, unknown> | undefined): Promise<void> {
    if (initialised) return end(...ends.initialisedTwice);
    initialised = true;
    clearTimeout(initialisation);
    present(headers, payload);
    if (!(await speaker(options.identify))) return;
    acknowledged = true;
    await send({ type: MessageType.ConnectionAck });
  }

  function subscribe(id: string, params: GraphQLParams): Promise<void> | void {
    if (!acknowledged) return end(...ends.unauthorized);
    if (operations.has(id)) return end(...ends.idTaken);
    if (operations.size === limits.operations) return end(...ends.tooMuchUnderWay);
    return counted(async () => {
      const startedAt = performance.now();
      const request = await asRequest(async (request) => {
        await operate(id, params, request);
        return request;
      });
      const durationMs = Math.round(performance.now() - startedAt);
      request.log.debug({ durationMs }, 'operation over WebSocket');
    });
  }

  async function operate(id: string, params: GraphQLParams, of: Pick<Context, 'requestId' | 'log'>): Promise<void> {
    const controller = new AbortController();
    operations.set(id, controller);
    const awaited = () => operations.get(id) === controller;
    /** Sends the last message. The ID is free before the client can know. */
    const finish = (message: object): Promise<void> => {
      operations.delete(id);
      return send({ id, ...message });
    };
    const answer = ({ errors, ...result }: ExecutionResult): Promise<void> => {
      const told = errors?.map(formatted);
      // A response without data is not a result; no message follows it.
      if (told && result.data === undefined) return finish({ type: MessageType.Error, payload: told });
      const payload = { ...withoutHttp(result), ...(told && { errors: told }) };
      return send({ id, type: MessageType.Next, payload });
    };
    try {
      const principal = await speaker(options.authenticate);
      if (!principal || !awaited()) return;
      const context = options.contextOf({ principal, client, ...of, signal: controller.signal });
      const result = await options.yoga.getResultForParams({ params, request: asPost }, context);
      for await (const each of isAsyncIterable(result) ? result : [result]) {
        if (awaited() && each) await answer(each);
        if (!awaited()) break;
      }
      if (awaited()) await finish({ type: MessageType.Complete });
    } catch (error) {
      if (awaited()) await finish({ type: MessageType.Error, payload: [formatted(maskError(error))] });
    }
  }

  function receive(message: Message): Promise<void> | void {
    switch (message.type) {
      case MessageType.ConnectionInit:
        return asRequest(() => initialise(message.payload).catch(fail));
      case MessageType.Ping:
        return counted(() => send({ type: MessageType.Pong, ...(message.payload && { payload: message.payload }) }));
      case MessageType.Pong:
        return;
      case MessageType.Subscribe:
        return subscribe(message.id, message.payload as GraphQLParams);
      case MessageType.Complete:
        operations.get(message.id)?.abort();
        operations.delete(message.id);
        return;
      default:
        return end(...ends.invalid);
    }
  }

  const alive = () => {
    unanswered = 0;
  };
  socket.on('ping', alive);
  socket.on('pong', alive);
  // The connection closes on a frame that violates the protocol or is too large.
  socket.on('error', (error) => log.debug({ error }, 'a WebSocket broke off'));
  socket.on('message', (data, isBinary) => {
    // Messages can still arrive until the other side has closed.
    if (ended) return;
    alive();
    const message = read(data, isBinary);
    if (message) void Promise.resolve(receive(message)).catch(fail);
    else end(...ends.invalid);
  });
  const over = new Promise<void>((resolve) => {
    socket.once('close', () => {
      stop();
      whenIdle(resolve);
    });
  });
  return { leave: () => whenIdle(() => end(...ends.goingAway)), drop, over };
}

function headersOf({ headers }: IncomingMessage): Headers {
  const read = new Headers();
  for (const [name, value] of Object.entries(headers)) if (value !== undefined) read.set(name, String(value));
  return read;
}

/** Uses the credential of `connection_init` in place of the one in the upgrade request. */
function present(headers: Headers, payload: Record<string, unknown> = {}): void {
  const [, value] = Object.entries(payload).find(([name]) => name.toLowerCase() === 'authorization') ?? [];
  if (value == null) return;
  try {
    headers.set('authorization', typeof value === 'string' ? value : 'no text');
  } catch {
    headers.set('authorization', 'no text of a header');
  }
}

/**
 * Adds an empty document to an operation that has only the hash of one. The protocol requires a document, and the client
 * expects an error for this operation, not the end of its connection.
 */
function withQuery(message: unknown): unknown {
  const { payload } = (message ?? {}) as { payload?: { query?: unknown; extensions?: { persistedQuery?: unknown } } };
  if (payload?.query !== undefined || payload?.extensions?.persistedQuery == null) return message;
  return { ...(message as object), payload: { ...payload, query: '' } };
}

/** Parses a message of the protocol. Returns null for any other message. */
function read(data: RawData, isBinary: boolean): Message | null {
  if (isBinary) return null;
  try {
    const message = validateMessage(withQuery(parseJson(new Uint8Array(data as Buffer).buffer)));
    return 'id' in message && message.id.length > limits.id ? null : message;
  } catch {
    return null;
  }
}

/** Removes the HTTP status and headers from an error or a result. */
function withoutHttp<Told extends { extensions?: Record<string, unknown> }>({ extensions = {}, ...told }: Told) {
  const { http: _, ...rest } = extensions;
  return { ...told, ...(Object.keys(rest).length > 0 && { extensions: rest }) };
}

const formatted = (error: Error) =>
  withoutHttp((error instanceof GraphQLError ? error : new GraphQLError(error.message)).toJSON());
