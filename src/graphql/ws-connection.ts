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
import { type Log, RequestScope } from '../log.ts';
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
  contextOf(request: Pick<Context, 'principal' | 'client' | 'scope' | 'signal'>): Context;
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

/** The promise of a function that a message may call. */
type Handled = Promise<void> | undefined;

/**
 * Serves one connection from its upgrade to its end. The messages of the protocol and their validation come from
 * graphql-ws. The loop is our own: an operation ends as soon as its client completes it, counts for as long as it runs,
 * and never answers for a later operation with the same ID.
 */
export function serveSocket(socket: WebSocket, request: IncomingMessage, options: SocketOptions): OpenSocket {
  return new SocketConnection(socket, request, options);
}

class SocketConnection implements OpenSocket {
  readonly over: Promise<void>;
  private readonly headers: Headers;
  private readonly client: Client;
  private initialised = false;
  private acknowledged = false;
  private ended = false;
  private secret: string | null = null;
  private watch: ReturnType<Services['revocations']['watch']> | undefined;
  /** The operations whose results the client is waiting for, by ID. */
  private readonly operations = new Map<string, AbortController>();
  private underWay = 0;
  /** Called when no operation is running any more. */
  private idle = () => {};
  /** Number of pings since the last sign of life of the client. */
  private unanswered = 0;
  private lastSent: Promise<void> = Promise.resolve();
  private readonly initialisation: NodeJS.Timeout;
  private readonly pings: NodeJS.Timeout;

  constructor(
    private readonly socket: WebSocket,
    private readonly request: IncomingMessage,
    private readonly options: SocketOptions,
  ) {
    this.headers = headersOf(request);
    this.client = options.clientOf(this.headers, request.socket.remoteAddress);
    noteRequest(request, { requestId: requestIdOf(this.headers), client: this.client.address, tokenId: null });
    this.initialisation = setTimeout(() => this.end(...ends.notInTime), limits.initialisation).unref();
    this.pings = setInterval(() => this.ping(), limits.ping).unref();
    this.over = this.listen();
  }

  leave(): void {
    this.whenIdle(() => this.end(...ends.goingAway));
  }

  drop(): void {
    this.end(...ends.goingAway);
    this.socket.terminate();
  }

  /** Handles the events of the socket. Resolves when it is closed and no operation is running. */
  private listen(): Promise<void> {
    const { socket } = this;
    const alive = () => {
      this.unanswered = 0;
    };
    socket.on('ping', alive);
    socket.on('pong', alive);
    // The connection closes on a frame that violates the protocol or is too large.
    socket.on('error', (error) => this.options.log.debug({ error }, 'a WebSocket broke off'));
    socket.on('message', (data, isBinary) => {
      // Messages can still arrive until the other side has closed.
      if (this.ended) return;
      alive();
      const message = read(data, isBinary);
      if (message) void Promise.resolve(this.receive(message)).catch((error: unknown) => this.fail(error));
      else this.end(...ends.invalid);
    });
    return new Promise<void>((resolve) => {
      socket.once('close', () => {
        this.stop();
        this.whenIdle(resolve);
      });
    });
  }

  private ping(): void {
    if (this.unanswered === 2) this.socket.terminate();
    else {
      this.unanswered++;
      this.socket.ping();
    }
  }

  /** Stops reading and writing, and cancels running operations. */
  private stop(): void {
    this.ended = true;
    clearTimeout(this.initialisation);
    clearInterval(this.pings);
    this.watch?.done();
    for (const controller of this.operations.values()) controller.abort();
    this.operations.clear();
  }

  private end(code: number, reason: string): undefined {
    if (this.ended) return;
    this.stop();
    this.socket.close(code, reason);
  }

  /**
   * Closes the connection because of an error. The close reason contains the request ID under which the error is
   * logged.
   */
  private fail(error: unknown): void {
    const scope = this.newScope();
    const [code, reason] = reportedError(error, scope).code === 'UNAVAILABLE' ? ends.unavailable : ends.failed;
    this.end(code, `${reason}. Request id: ${scope.requestId}`);
  }

  /** Each operation, and each error outside of one, is a request of its own. */
  private readonly newScope = (): RequestScope => new RequestScope(randomUUID(), this.options.log);

  /**
   * Sends one message at a time, each after the previous one was written. An operation waits for its message, so a slow
   * client delays only its own operations and no messages pile up.
   */
  private send(message: object): Promise<void> {
    this.lastSent = this.lastSent.then(
      () =>
        new Promise((resolve) => {
          if (this.ended) resolve();
          // An error means that the socket is closed, or will be.
          else this.socket.send(JSON.stringify(message), () => resolve());
        }),
    );
    return this.lastSent;
  }

  /** Runs work that counts toward the limit of concurrent operations. */
  private async counted(work: () => Promise<void>): Promise<void> {
    if (this.underWay === (this.acknowledged ? limits.underWay : limits.unknown))
      return this.end(...ends.tooMuchUnderWay);
    this.underWay++;
    try {
      await work();
    } finally {
      if (--this.underWay === 0) this.idle();
    }
  }

  private whenIdle(then: () => void): void {
    if (this.underWay === 0) then();
    else this.idle = then;
  }

  /** Closes the connection when its credential ends. */
  private follow(principal: Principal): void {
    this.watch?.done();
    this.watch = this.options.services.revocations.watch(principal);
    const check = () => void this.lookAgain().catch((error: unknown) => this.fail(error));
    if (this.watch.signal.aborted) check();
    else this.watch.signal.addEventListener('abort', check, { once: true });
  }

  /**
   * Streams also end when their credential loses a permission. The connection stays open, and its next operation has
   * fewer permissions.
   */
  private async lookAgain(): Promise<void> {
    const authenticatedAt = performance.now();
    const { credentials } = this.options.services;
    const principal = this.secret === null ? null : await credentials.inspect(this.secret);
    if (this.ended) return;
    if (principal) this.follow({ ...principal, authenticatedAt });
    else this.end(...ends.unauthorized);
  }

  /** Returns the current principal. Closes the connection and returns null when the credential no longer works. */
  private async speaker(ask: SocketOptions['identify']): Promise<Principal | null> {
    const holder = await ask(this.headers, this.client);
    if (this.ended) return null;
    if (holder.viewer === null || holder.viewer === 'refused') {
      this.end(...ends.unauthorized);
      return null;
    }
    this.secret = holder.secret;
    noteToken(this.request, holder.viewer.credential.tokenId);
    this.follow(holder.viewer);
    return holder.viewer;
  }

  private async initialise(payload: Record<string, unknown> | undefined): Promise<void> {
    if (this.initialised) return this.end(...ends.initialisedTwice);
    this.initialised = true;
    clearTimeout(this.initialisation);
    present(this.headers, payload);
    if (!(await this.speaker(this.options.identify))) return;
    this.acknowledged = true;
    await this.send({ type: MessageType.ConnectionAck });
  }

  private subscribe(id: string, params: GraphQLParams): Handled {
    if (!this.acknowledged) return this.end(...ends.unauthorized);
    if (this.operations.has(id)) return this.end(...ends.idTaken);
    if (this.operations.size === limits.operations) return this.end(...ends.tooMuchUnderWay);
    return this.counted(async () => {
      const startedAt = performance.now();
      const scope = this.newScope();
      await this.operate(id, params, scope);
      const durationMs = Math.round(performance.now() - startedAt);
      scope.log.debug({ durationMs }, 'operation over WebSocket');
    });
  }

  private async operate(id: string, params: GraphQLParams, scope: RequestScope): Promise<void> {
    const controller = new AbortController();
    this.operations.set(id, controller);
    const awaited = () => this.operations.get(id) === controller;
    /** Sends the last message. The ID is free before the client can know. */
    const finish = (message: object): Promise<void> => {
      this.operations.delete(id);
      return this.send({ id, ...message });
    };
    const answer = ({ errors, ...result }: ExecutionResult): Promise<void> => {
      const told = errors?.map(formatted);
      // A response without data is not a result; no message follows it.
      if (told && result.data === undefined) return finish({ type: MessageType.Error, payload: told });
      const payload = { ...withoutHttp(result), ...(told && { errors: told }) };
      return this.send({ id, type: MessageType.Next, payload });
    };
    const { authenticate, contextOf, yoga } = this.options;
    try {
      const principal = await this.speaker(authenticate);
      if (!principal || !awaited()) return;
      const context = contextOf({ principal, client: this.client, scope, signal: controller.signal });
      const result = await yoga.getResultForParams({ params, request: asPost }, context);
      for await (const each of isAsyncIterable(result) ? result : [result]) {
        if (awaited() && each) await answer(each);
        if (!awaited()) break;
      }
      if (awaited()) await finish({ type: MessageType.Complete });
    } catch (error) {
      if (awaited()) await finish({ type: MessageType.Error, payload: [formatted(maskError(error, scope))] });
    }
  }

  private receive(message: Message): Handled {
    switch (message.type) {
      case MessageType.ConnectionInit:
        return this.initialise(message.payload);
      case MessageType.Ping:
        return this.counted(() =>
          this.send({ type: MessageType.Pong, ...(message.payload && { payload: message.payload }) }),
        );
      case MessageType.Pong:
        return;
      case MessageType.Subscribe:
        return this.subscribe(message.id, message.payload as GraphQLParams);
      case MessageType.Complete:
        this.operations.get(message.id)?.abort();
        this.operations.delete(message.id);
        return;
      default:
        return this.end(...ends.invalid);
    }
  }
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
