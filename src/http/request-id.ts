import { randomUUID } from 'node:crypto';
import { mentionsSecret } from '../authz/secret.ts';

/** The format of a request ID that a client or a proxy can choose. */
const wellFormed = /^[A-Za-z0-9._-]{1,128}$/;

/**
 * Returns the ID of a request: its `X-Request-Id` if that is well-formed and not a credential, so that the log lines of
 * several servers can be correlated; otherwise a UUID.
 */
export function requestIdOf(headers: Headers): string {
  const sent = headers.get('x-request-id');
  return sent !== null && wellFormed.test(sent) && !mentionsSecret(sent) ? sent : randomUUID();
}
