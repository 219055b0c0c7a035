import type { ErrorReason } from '../error-reasons.ts';
import { type AppError, withMessage } from '../errors.ts';
import type { BodyFailure } from '../http/body-failure.ts';
import type { CredentialLocation } from './credential.ts';

/**
 * A response in the format of a dialect: text when the body is a string, no body when it is undefined, otherwise JSON.
 */
export interface Failure {
  status: number;
  body: unknown;
  headers?: Record<string, string>;
}

/**
 * Returns the message of an error followed by the message of the model's provider, for dialects that have no separate
 * field for it.
 */
export const withProvider = ({ message, details }: Pick<AppError, 'message' | 'details'>): string =>
  details.provider?.message ? `${message} ${details.provider.message}` : message;

/** How a client family words a reason, and the status where it differs from that of the error code. */
interface Wording {
  status?: number;
  message(error: AppError): string;
}
export type Wordings = Partial<Record<ErrorReason, Wording>>;

/**
 * The wire format of one family of clients: where it sends its credential, which bodies it sends, and its error
 * responses.
 */
export interface Dialect {
  credential: CredentialLocation;
  /** Whether its paths are also served at the root, and not only under `/api`. */
  atRoot: boolean;
  /**
   * Whether every path accepts a form, JSON as `text/plain` or an empty body, and is case-insensitive (AnythingLLM
   * contract 0).
   */
  looseBodies: boolean;
  /** The messages of the client family that differ from those of this server, by reason. */
  wordings?: Wordings;
  /** Returns the response for an error when the endpoint defines none. */
  failure(error: AppError): Failure;
  /** Returns the response for an invalid request. */
  invalid(error: AppError): Failure;
  /** Returns the response when no endpoint is called or the body is not read: 404, 405, 415, 421. */
  say(status: number, text: string): Failure;
  /** Returns the response for a body that cannot be read completely: 408, 413, 429. Defaults to `say`. */
  unread?(failure: BodyFailure): Failure;
}

/** The part of an endpoint that has error responses of its own. */
interface OwnFailures<Input> {
  failure?: ((error: AppError, input: Input) => Failure | null) | undefined;
}

/**
 * Returns the client's version of an error: first by the dialect's wording of its reason, then by the endpoint, then by
 * its code. An endpoint can change the message of an unavailable database, but not its status.
 */
export function failureFor<Input>(
  dialect: Dialect,
  endpoint: OwnFailures<Input>,
  error: AppError,
  input: Input,
): Failure {
  const wording = dialect.wordings?.[error.reason];
  const worded = wording ? withMessage(error, wording.message(error)) : error;
  if (wording?.status !== undefined) return dialect.say(wording.status, worded.message);
  const usual = dialect.failure(worded);
  const own = endpoint.failure?.(worded, input) ?? usual;
  return error.code === 'UNAVAILABLE' && own.status !== usual.status ? usual : own;
}

/** Returns the response of a dialect for a body that cannot be read completely. */
export const unreadFailure = (dialect: Dialect, failure: BodyFailure): Failure =>
  dialect.unread?.(failure) ?? dialect.say(failure.status, failure.text);
