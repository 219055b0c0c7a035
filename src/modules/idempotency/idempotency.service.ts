import { createCipheriv, createDecipheriv, createHash, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { hashSecret } from '../../authz/secret.ts';
import { conflict, isDatabaseUnavailable, parse } from '../../errors.ts';
import type { Job } from '../../scheduler.ts';
import type { Database } from '../../store/database.ts';
import type { Locks } from '../../store/shared/locks.ts';

/** A stored response. */
export interface Reply {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** The result of claiming a key: the first request with it reports its outcome. */
export type Claim =
  | { first: false; reply: Reply }
  | {
      first: true;
      /** Stores the response for repeated requests. */
      keep(reply: Reply): Promise<void>;
      /** Releases the key after a failure: the next request with it is the first again. */
      release(): Promise<void>;
    };

/** The key was used for another request. */
export class KeyReusedError extends Error {}

/** Time that a response is kept. Milliseconds. */
const keepMs = 24 * 3600 * 1000;

const Key = z.string().regex(/^[\x21-\x7e]{1,255}$/, 'must be 1 to 255 visible ASCII characters');

const bytes = (buffer: Buffer): Uint8Array<ArrayBuffer> => Uint8Array.from(buffer);

const derived = (secret: string, key: string, purpose: string): Buffer =>
  Buffer.from(hkdfSync('sha256', secret, key, purpose, 32));

/**
 * Encrypts stored responses, which can contain a new secret. The key is derived from the caller's credential and
 * Idempotency-Key, of which the database contains only hashes.
 */
function sealing(secret: string, key: string) {
  const cipherKey = derived(secret, key, 'latchkey idempotent reply');
  return {
    seal(reply: Reply): Uint8Array<ArrayBuffer> {
      const nonce = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', cipherKey, nonce);
      const sealed = Buffer.concat([cipher.update(JSON.stringify(reply)), cipher.final()]);
      return bytes(Buffer.concat([nonce, cipher.getAuthTag(), sealed]));
    },
    open(sealed: Uint8Array): Reply {
      const decipher = createDecipheriv('aes-256-gcm', cipherKey, sealed.subarray(0, 12));
      decipher.setAuthTag(sealed.subarray(12, 28));
      return JSON.parse(Buffer.concat([decipher.update(sealed.subarray(28)), decipher.final()]).toString());
    },
  };
}

/** The lock that is held while a request with a key is running. */
const lockOf = (hash: Uint8Array): string => `idempotency ${Buffer.from(hash).toString('hex')}`;

/** Records that are deleted at once. */
const forgetBatch = 1000;

/** Releases the keys of requests that a killed process did not complete. */
async function forgetInterrupted(db: Database, locks: Locks): Promise<void> {
  const open = await db.prisma.idempotencyRecord.findMany({ where: { status: null }, select: { hash: true } });
  for (const { hash } of open) {
    const lock = await locks.tryTake(lockOf(hash));
    if (lock?.isShared) await db.prisma.idempotencyRecord.deleteMany({ where: { hash, status: null } });
    await lock?.release();
  }
}

export function createIdempotencyService(db: Database, locks: Locks) {
  const expired = () => new Date(Date.now() - keepMs);

  /** Deletes expired responses. */
  async function forget(): Promise<void> {
    const before = expired();
    for (let batch = forgetBatch; batch === forgetBatch; )
      batch = await db.prisma.$executeRaw`DELETE FROM "IdempotencyRecord" WHERE "hash" IN (
        SELECT "hash" FROM "IdempotencyRecord" WHERE "createdAt" < ${before} LIMIT ${forgetBatch}::int)`;
  }

  const jobs: readonly Job[] = [{ name: 'idempotency-retention', everyMs: keepMs, run: forget }];

  return {
    /**
     * Claims a key for a request, within one credential: the same key of two callers is two keys. `request` contains
     * everything that identifies the request. Throws BAD_USER_INPUT for a malformed key, CONFLICT while the first
     * request with it is running, KeyReusedError for another request.
     */
    async claim(secret: string, key: string, request: readonly (string | Uint8Array)[]): Promise<Claim> {
      parse(Key, key, ['Idempotency-Key']);
      const hash = bytes(createHash('sha256').update(hashSecret(secret)).update(key).digest());
      // A plain hash of a body with a password would allow guessing it.
      const digest = createHmac('sha256', derived(secret, key, 'latchkey idempotent request'));
      for (const part of request) digest.update(`${part.length}:`).update(part);
      const requestHash = bytes(digest.digest());
      const { seal, open } = sealing(secret, key);
      const lock = await locks.tryTake(lockOf(hash));
      const claim: Claim = {
        first: true,
        async keep(reply) {
          const data = { status: reply.status, reply: seal(reply) };
          await db.prisma.idempotencyRecord.updateMany({ where: { hash }, data });
          await lock?.release();
        },
        async release() {
          try {
            await db.prisma.idempotencyRecord.deleteMany({ where: { hash } });
          } catch (error) {
            // The record of a request that is no longer running stays: the next request takes it over.
            if (!isDatabaseUnavailable(error)) throw error;
          } finally {
            await lock?.release();
          }
        },
      };
      let claimed = false;
      try {
        if (lock) {
          await db.prisma.idempotencyRecord.deleteMany({ where: { hash, createdAt: { lt: expired() } } });
          const data = { hash, requestHash };
          const { count } = await db.prisma.idempotencyRecord.createMany({ data, skipDuplicates: true });
          claimed = count === 1;
          if (claimed) return claim;
        }
        const record = await db.prisma.idempotencyRecord.findUnique({ where: { hash } });
        if (record && !Buffer.from(record.requestHash).equals(requestHash)) throw new KeyReusedError();
        if (record?.reply) return { first: false, reply: open(record.reply) };
        // Without the shared lock, the first request may be running in another process.
        if (!lock?.isShared)
          throw conflict('REQUEST_IN_PROGRESS', 'The first request with this Idempotency-Key is still running.');
        claimed = true;
        return claim;
      } finally {
        if (!claimed) await lock?.release();
      }
    },

    /** See {@link forgetInterrupted}. */
    forgetInterrupted: () => forgetInterrupted(db, locks),

    forget,

    jobs,
  };
}

export type IdempotencyService = ReturnType<typeof createIdempotencyService>;
