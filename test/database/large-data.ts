import type pg from 'pg';

/** Stores sessions of a user with the agent 0, each with a root and five messages, in one statement each. */
export async function addSessions(client: pg.Client, userId: string, count: number): Promise<void> {
  await client.query(
    `INSERT INTO "ChatSession" ("userId", "agentId", "name", "createdAt", "updatedAt")
     SELECT $1::uuid, 0, 'Session ' || i, now() - i * interval '1 minute', now() - i * interval '1 minute'
     FROM generate_series(1, $2::int) i`,
    [userId, count],
  );
  await client.query(
    `INSERT INTO "ChatMessage" ("sessionId", "role", "text")
     SELECT s."id", (CASE WHEN k = 1 THEN 'SYSTEM' WHEN k % 2 = 0 THEN 'USER' ELSE 'ASSISTANT' END)::"MessageRole",
       CASE WHEN k = 1 THEN '' ELSE 'The report mentions invoice ' || (abs(hashtext(s."id"::text || k)) % 5000) || ' and its plan.' END
     FROM "ChatSession" s, generate_series(1, 6) k WHERE s."userId" = $1::uuid`,
    [userId],
  );
}

/** Stores public documents of ten passages each. `prefix` distinguishes their IDs from those of other calls. */
export async function addPassages(client: pg.Client, count: number, prefix = 'large'): Promise<void> {
  await client.query(
    `WITH added AS (
       INSERT INTO "Document" ("externalId", "title", "contentHash", "updatedAt")
       SELECT $2 || '-' || i, 'Document ' || i, sha256(($2 || i)::bytea), now() FROM generate_series(1, $1::int / 10) i
       RETURNING "id")
     INSERT INTO "Chunk" ("documentId", "position", "section", "start", "end", "text")
     SELECT "id", k, 0, 0, 10, 'Passage about machine ' || (abs(hashtext("id" || '-' || k)) % 9000) || ' and its maintenance schedule.'
     FROM added, generate_series(0, 9) k`,
    [count, prefix],
  );
}
