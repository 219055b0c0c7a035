import type { Client, Principal } from '../../authz/principal.ts';
import { newSecret, secretColumns } from '../../authz/secret.ts';
import { denied } from '../../errors.ts';
import type { Prisma, User } from '../../generated/prisma/client.ts';
import type { AuditService } from '../audit/audit.service.ts';
import { sessionLifetimeMs } from '../tokens/authenticate.ts';

/** Maximum number of login sessions of one user; the oldest ends when another one starts. */
export const maxSessions = 100;

export interface Session {
  /** The secret of the session, returned once. */
  token: string;
  expiresAt: Date;
  user: User;
}

/** Returns the columns of a session with a new secret. `now` is in milliseconds. */
export const sessionColumns = (secret: string, now: number) => ({
  ...secretColumns(secret),
  expiresAt: new Date(now + sessionLifetimeMs),
});

/** Starts a session for a user whose password was correct, and records the login. */
export async function startSession(
  transaction: Prisma.TransactionClient,
  audit: AuditService,
  { user, client, now }: { user: User; client: Client; now: number },
): Promise<Session> {
  const token = newSecret('SESSION');
  const columns = sessionColumns(token, now);
  const { id } = await transaction.token.create({
    data: { ...columns, kind: 'SESSION', allScopes: true, userId: user.id, creatorId: user.id },
    select: { id: true },
  });
  await audit.record(transaction, {
    action: 'session.create',
    actor: { userId: user.id, name: user.name },
    tokenId: id,
    client,
    target: { type: 'User', id: user.id },
  });
  return { token, expiresAt: columns.expiresAt, user };
}

/** Returns the token ID of the login session of a principal. Throws FORBIDDEN unless the credential is one. */
export function loginSession({ credential }: Principal): number {
  if (credential.kind !== 'SESSION') throw denied('SESSION_REQUIRED', 'This operation requires a login session.');
  return credential.tokenId;
}
