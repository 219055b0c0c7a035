import type { AppError, ErrorCode, FieldProblem } from '../../errors.ts';
import type { Dialect, Failure } from '../dialect.ts';

/** `{ error: { message, type, param, code } }`, of which clients make errors of their own types. */
export const openaiError = (
  status: number,
  message: string,
  { type = 'invalid_request_error', param = null as string | null, code = null as string | null } = {},
): Failure => ({ status, body: { error: { message, type, param, code } } });

/** Where a field of the graph has another name here. */
type Renamed = Readonly<Record<string, string>>;

/** A path as far as it was sent: the graph has a list of one where a client may send a text, which has no parts. */
function asSent(names: (string | number)[], body: unknown): (string | number)[] {
  let value = body;
  const end = names.findIndex((name) => {
    if (typeof value === 'string') return true;
    value = (value as Readonly<Record<string | number, unknown>> | null | undefined)?.[name];
    return false;
  });
  return end < 0 ? names : names.slice(0, end);
}

/** A field as OpenAI's clients know it: `messages[0].content` of `input.messages.0.content`. */
function paramOf({ path }: FieldProblem, renamed: Renamed, body: unknown): string | null {
  const [first, ...rest] = /^(input|body|query|path)$/.test(String(path[0])) ? path.slice(1) : path;
  if (first === undefined) return null;
  const names = [renamed[first] ?? first, ...rest].map((name) =>
    typeof name === 'number' ? name : name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
  );
  const written = asSent(names, body).map((name) => (typeof name === 'number' ? `[${name}]` : `.${name}`));
  return written.join('').replace(/^\./, '');
}

/** What is wrong with a request, and with which field of its body, as far as that is known. */
export function invalidRequest(error: AppError, renamed: Renamed = {}, body?: unknown): Failure {
  const [problem] = error.details.fields ?? [];
  if (!problem) return openaiError(400, error.message);
  const param = paramOf(problem, renamed, body);
  return openaiError(400, param === null ? problem.message : `${param}: ${problem.message}`, { param });
}

const answers: Record<ErrorCode, (error: AppError) => Failure> = {
  // Other paths of these clients have the status and the sentence, too.
  UNAUTHENTICATED: () => openaiError(403, 'No valid api key found.', { code: 'invalid_api_key' }),
  FORBIDDEN: ({ message }) => openaiError(403, message, { type: 'permission_error', code: 'insufficient_permissions' }),
  NOT_FOUND: () =>
    openaiError(404, 'The model does not exist, or this key may not use it.', {
      param: 'model',
      code: 'model_not_found',
    }),
  BAD_USER_INPUT: (error) => invalidRequest(error),
  CONFLICT: ({ message }) => openaiError(409, message, { code: 'conflict' }),
  RATE_LIMITED: ({ message }) => openaiError(429, message, { type: 'rate_limit_error', code: 'rate_limit_exceeded' }),
  UPSTREAM_FAILED: ({ message }) => openaiError(502, message, { type: 'server_error', code: 'upstream_error' }),
  TIMEOUT: ({ message }) => openaiError(503, message, { type: 'server_error', code: 'timeout' }),
  INTERNAL: ({ message }) => openaiError(500, message, { type: 'server_error', code: 'server_error' }),
};

/** The paths under `/v1/openai`, as OpenAI's own clients are spoken to. */
export const openai: Dialect = {
  accept: 'anythingllm',
  atRoot: false,
  looseBodies: true,
  failure: (error) => answers[error.code](error),
  invalid: (error) => invalidRequest(error),
  say: (status, text) => openaiError(status, text),
};
