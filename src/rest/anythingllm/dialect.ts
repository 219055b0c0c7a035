import type { ErrorCode } from '../../error-reasons.ts';
import type { AppError } from '../../errors.ts';
import { type Dialect, type Failure, type Wordings, withProvider } from '../dialect.ts';
import { anythingllmCredential } from './credential.ts';

/** Returns `{ error }`, which clients read with any status. */
export const failed = (status: number, text: string): Failure => ({ status, body: { error: text } });

/** The response of a session path to a role without permission, and of paths of the other mode. */
export const unauthorized: Failure = { status: 401, body: 'Unauthorized' };

const answers: Record<ErrorCode, (error: AppError) => Failure> = {
  UNAUTHENTICATED: () => failed(403, 'No valid api key found.'),
  FORBIDDEN: ({ message }) => failed(403, message),
  NOT_FOUND: ({ message }) => failed(404, message),
  BAD_USER_INPUT: ({ message }) => failed(422, message),
  CONFLICT: ({ message }) => failed(409, message),
  RATE_LIMITED: ({ message }) => failed(429, message),
  UPSTREAM_REJECTED: (error) => failed(400, withProvider(error)),
  UPSTREAM_FAILED: ({ message }) => failed(502, message),
  TIMEOUT: ({ message }) => failed(503, message),
  UNAVAILABLE: ({ message }) => failed(503, message),
  INTERNAL: ({ message }) => failed(500, message),
};

const sessionAnswers: typeof answers = {
  ...answers,
  UNAUTHENTICATED: ({ reason }) =>
    failed(401, reason === 'CREDENTIAL_INVALID' ? 'Invalid auth token.' : 'No auth token found.'),
  FORBIDDEN: ({ reason, message }) => (reason === 'SECRET_SUPERSEDED' ? failed(403, message) : unauthorized),
};

/** Returns 400 for an invalid ID and a body that cannot be parsed; otherwise 422 with the names of the fields. */
function invalid(error: AppError): Failure {
  const path = error.details.fields?.[0]?.path ?? [];
  if (path[0] === 'path') return { status: 400, body: 'Bad Request' };
  return failed(path.length === 1 && path[0] === 'body' ? 400 : 422, error.message);
}

/** The messages of the reference that differ from those of this server. */
export const wordings: Wordings = {
  FOLDER_NAME_TAKEN: { message: () => 'Folder by that name already exists' },
  IMAGES_NOT_CONFIGURED: {
    message: ({ message }) => message.replace(/^.*?\./, 'No valid image generation provider was set.'),
  },
  LAST_ADMIN: { message: () => 'No system admins will remain if you do this. Update failed.' },
};

const common = {
  credential: anythingllmCredential,
  atRoot: false,
  looseBodies: true,
  wordings,
  invalid,
  say: failed,
} as const;

/** The paths under `/v1`, which keys open. */
export const anythingllm: Dialect = { ...common, failure: (error) => answers[error.code](error) };

/** The paths of AnythingLLM's web interface, for login sessions and, on this server, keys. */
export const anythingllmSession: Dialect = { ...common, failure: (error) => sessionAnswers[error.code](error) };
