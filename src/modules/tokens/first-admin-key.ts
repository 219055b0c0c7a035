import { hashSecret, newSecret } from '../../authz/secret.ts';
import { insertApiKey } from './api-keys.ts';
import type { Grant } from './grants.ts';
import type { TokenDeps } from './token-deps.ts';

export const firstAdminKey = ({ db, audit, users }: TokenDeps) => ({
  /** Creates the first admin key of a new server. `secret` is set by the operator, or null to generate one. */
  async createFirstAdminKey(
    given: string | null,
    handOver: (secret: string) => void = () => {},
  ): Promise<string | null> {
    return db.prisma.$transaction(async (transaction) => {
      await users.lockAdmins(transaction);
      if ((await users.countAdmins(transaction)) > 0) return null;
      // A key that was the first one earlier and no longer exists is not restored.
      const hash = given === null ? null : Uint8Array.from(hashSecret(given));
      const spent = hash && (await transaction.token.count({ where: { OR: [{ hash }, { previousHash: hash }] } }));
      const secret = given === null || spent ? newSecret('API_KEY') : given;
      const grant: Grant = { role: 'ADMIN', allScopes: true, scopes: [], projectId: null };
      const key = await insertApiKey(transaction, secret, {
        ...grant,
        kind: 'API_KEY',
        name: 'First admin key',
        expiresAt: null,
        creatorId: null,
        creatorTokenIds: [],
      });
      await audit.record(transaction, {
        action: 'api_key.create',
        actor: null,
        tokenId: null,
        client: { address: null, userAgent: null },
        target: { type: 'ApiKey', id: key.id },
        detail: { name: key.name, role: 'ADMIN', scopes: null },
      });
      if (secret !== given) handOver(secret);
      return secret;
    });
  },
});
