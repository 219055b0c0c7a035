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
import { requestIdOf } from '../http/request-id.ts';
import { parseJson } from '../json.ts';
import { currentRequest, type Log } from '../log.ts';
import type { Services } from '../services.ts';
import { maskError } from './errors.ts';
import type { GraphQLServer } from './yoga.ts';

/** What one socket may cost. Times are in milliseconds. */
const limits = {
  /** Characters of an operation's id, which every message about it repeats. */
  id: 256,
  /** Operations whose answers a client waits for at one time. */
  operations: 100,
  /** The same with those that it no longer waits for and that are not yet over, and with pings not yet answered. */
  underWay: 200,
  /** Pings not yet answered of a client that has not said who it is. */
  unknown: 10,
  /** From the upgrade to `connection_init`. */
  initialisation: 10_000,
  /** Between two pings. A client that gives no sign of life after two of them is dropped when the third is due. */
  ping: 12_000,
};

/** How a socket ends: the codes of the protocol, and one for every credential that opens nothing. */
const ends = {
  unauthorized: [CloseCode.Unauthorized, 'Unauthorized'],
  notInTime: [CloseCode.ConnectionInitialisationTimeout, 'Connection initialisation timeout'],
  initialisedTwice: [CloseCode.TooManyInitialisationRequests, 'Too many initialisation requests'],
  tooMuchUnderWay: [CloseCode.TooManyInitialisationRequests, 'Too many operations under way'],
  invalid: [CloseCode.BadRequest, 'Invalid message received'],
  idTaken: [CloseCode.SubscriberAlreadyExists, 'Subscriber already exists'],
  failed: [CloseCode.InternalServerError, 'Internal server error'],
  /** The database cannot be asked who speaks: "Try again later" of RFC 6455's registry. */
  unavailable: [1013, 'Try again later'],
  goingAway: [1001, 'Going away'],
} as const;

/** Who holds a credential, with its secret. */
interface Holder {
  viewer: Viewer | 'refused';
  secret: string | null;
}

export interface SocketOptions {
  yoga: GraphQLServer;
  services: Pick<Services, 'credentials' | 'revocations'>;
  log: Log;
  clientOf(headers: Headers, remoteAddress: string | undefined): Client;
  /** Whom headers speak for. */
  identify(headers: Headers, client: Client): Promise<Holder>;
  /** The same for a request, which counts. Throws RATE_LIMITED. */
  authenticate(headers: Headers, client: Client): Promise<Holder>;
  contextOf(request: Pick<Context, 'principal' | 'client' | 'log' | 'requestId' | 'signal'>): Context;
}

export interface OpenSocket {
  /** Ends it with 1001 as soon as nothing is under way. */
  leave(): void;
  /** Ends it now, whether or not the client hears of it. */
  drop(): void;
  /** Resolves when the connection is closed and nothing of it runs any more. */
  over: Promise<void>;
}

/** Yoga asks how a document came, for not all may come by GET. */
const asPost = new Request('http://localhost/graphql', { method: 'POST' });

/**
 * One socket, from its upgrade to its end. The vocabulary of the protocol and the shapes of its messages are those of
 * graphql-ws. The loop is our own: an operation ends at the moment at which its client completes it, counts for as long
 * as it runs, and never answers for a later one to which the client gave the same id.
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
  /** The operations whose answers the client waits for, by its ids. */
  const operations = new Map<string, AbortController>();
  let underWay = 0;
  /** Called whenever nothing is under way any more. */
  let idle = () => {};
  /** Pings since the client last gave a sign of life. */
  let unanswered = 0;

  const initialisation = setTimeout(() => end(...ends.notInTime), limits.initialisation).unref();
  const pings = setInterval(() => {
    if (unanswered === 2) return socket.terminate();
    unanswered++;
    socket.ping();
  }, limits.ping).unref();

  /** From here on nothing is said or heard, and what runs is told to end. */
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

  /** The reason names the request under which the cause is logged. */
  function fail(error: unknown): void {
    const [code, reason] = reportedError(error).code === 'UNAVAILABLE' ? ends.unavailable : ends.failed;
    const { requestId } = currentRequest.getStore() ?? {};
    end(code, requestId ? `${reason}. Request id: ${requestId}` : reason);
  }

  /** Does what belongs to no operation as a request of its own. */
  function asRequest<T>(work: (request: Pick<Context, 'requestId' | 'log'>) => T): T {
    const requestId = randomUUID();
    const request = { requestId, log: log.child({ requestId }) };
    return currentRequest.run(request, () => work(request));
  }

  let lastSent: Promise<void> = Promise.resolve();
  /**
   * Sends one message at a time, each when the one before it has left. An operation waits for its message, so a client
   * that reads slowly holds up its own operations, and nothing piles up.
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

  /** Does what must not be done too often at one time. */
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

  /** Has the socket end with its credential, as the credential was looked up. */
  function follow(principal: Principal): void {
    watch?.done();
    watch = services.revocations.watch(principal);
    const check = () => asRequest(() => void lookAgain().catch(fail));
    if (watch.signal.aborted) check();
    else watch.signal.addEventListener('abort', check, { once: true });
  }

  /** Streams end also when their credential goes on with less. Then the socket stays: its next operation has less. */
  async function lookAgain(): Promise<void> {
    const authenticatedAt = performance.now();
    const principal = secret === null ? null : await services.credentials.inspect(secret);
    if (ended) return;
    if (principal) follow({ ...principal, authenticatedAt });
    else end(...ends.unauthorized);
  }

  /** Who speaks, as of now. Ends the socket, and is null, when that is nobody or nobody any more. */
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
    /** Its last message. The id is free before the client can know. */
    const finish = (message: object): Promise<void> => {
      operations.delete(id);
      return send({ id, ...message });
    };
    const answer = ({ errors, ...result }: ExecutionResult): Promise<void> => {
      const told = errors?.map(formatted);
      // Without data it is no result, and nothing follows.
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
  // A frame against the rules, or a message that is too large: the socket closes by itself.
  socket.on('error', (error) => log.debug({ error }, 'a WebSocket broke off'));
  socket.on('message', (data, isBinary) => {
    // Messages still arrive while this side waits for the other to close.
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

/** Puts the credential of `connection_init` where that of a request stands, in place of what came with the upgrade. */
function present(headers: Headers, payload: Record<string, unknown> = {}): void {
  const [, value] = Object.entries(payload).find(([name]) => name.toLowerCase() === 'authorization') ?? [];
  if (value == null) return;
  try {
    headers.set('authorization', typeof value === 'string' ? value : 'no text');
  } catch {
    headers.set('authorization', 'no text of a header');
  }
}

/** A message that the protocol knows, or null. */
function read(data: RawData, isBinary: boolean): Message | null {
  if (isBinary) return null;
  try {
    const message = validateMessage(parseJson(new Uint8Array(data as Buffer).buffer));
    return 'id' in message && message.id.length > limits.id ? null : message;
  } catch {
    return null;
  }
}

/** What an error or a result says of HTTP is not for clients. */
function withoutHttp<Told extends { extensions?: Record<string, unknown> }>({ extensions = {}, ...told }: Told) {
  const { http: _, ...rest } = extensions;
  return { ...told, ...(Object.keys(rest).length > 0 && { extensions: rest }) };
}

const formatted = (error: Error) =>
  withoutHttp((error instanceof GraphQLError ? error : new GraphQLError(error.message)).toJSON());
