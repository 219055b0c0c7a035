import type { AppError } from '../errors.ts';
import type { Accept } from './credential.ts';

/** A reply in the terms of a dialect: text where the body is a string, no body where it is undefined, else JSON. */
export interface Failure {
  status: number;
  body: unknown;
  headers?: Record<string, string>;
}

/** The message of an error with what the model's provider said, for dialects that have no field for it. */
export const withProvider = ({ message, details }: Pick<AppError, 'message' | 'details'>): string =>
  details.provider?.message ? `${message} ${details.provider.message}` : message;

/** How one family of clients is spoken to: where it puts its credential, what it sends, how it is told what is wrong. */
export interface Dialect {
  accept: Accept;
  /** Whether its paths are served at the root too, and not under `/api` alone. */
  atRoot: boolean;
  /**
   * Whether a body may be a form, JSON under `text/plain`, or nothing at all, whatever the row, and a path written in
   * any letter case (AnythingLLM contract 0).
   */
  looseBodies: boolean;
  /** What an error is where the row says nothing else. */
  failure(error: AppError): Failure;
  /** What a request of the wrong shape is told. */
  invalid(error: AppError): Failure;
  /** What is said before any operation is found or any body read: 405, 415. */
  say(status: number, text: string): Failure;
}
