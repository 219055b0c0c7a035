import { randomUUID } from 'node:crypto';
import { mentionsSecret } from '../modules/tokens/secret.ts';

/** A request ID that a client or a proxy may choose. */
const wellFormed = /^[A-Za-z0-9._-]{1,128}$/;

/**
 * Returns the ID of a request: its `X-Request-Id` when that is well-formed and no credential, so that the log lines of
 * several servers can be joined; otherwise a UUID.
 */
export function requestIdOf(headers: Headers): string {
  const sent = headers.get('x-request-id');
  return sent !== null && wellFormed.test(sent) && !mentionsSecret(sent) ? sent : randomUUID();
}
