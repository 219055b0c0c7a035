import type { AppError } from '../errors.ts';
import type { Accept } from './credential.ts';

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

/**
 * The wire format of one family of clients: where it sends its credential, which bodies it sends, and its error
 * responses.
 */
export interface Dialect {
  accept: Accept;
  /** Whether its paths are also served at the root, and not only under `/api`. */
  atRoot: boolean;
  /**
   * Whether every path accepts a form, JSON as `text/plain` or an empty body, and is case-insensitive (AnythingLLM
   * contract 0).
   */
  looseBodies: boolean;
  /** Returns the response for an error when the endpoint defines none. */
  failure(error: AppError): Failure;
  /** Returns the response for an invalid request. */
  invalid(error: AppError): Failure;
  /** Returns the response when no endpoint is called or the body is not read: 404, 405, 413, 415. */
  say(status: number, text: string): Failure;
}
