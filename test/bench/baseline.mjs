// The baseline of the benchmark: node:http and pg, one prepared statement per request that returns the JSON text of the
// server's response, without authorization, validation and logging.
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import pg from 'pg';

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 });
const columns = `"id", "name", "description", "isPublic", "isListed", "isFeatured", "isBuiltin", "displayPriority",
  "createdAt", "updatedAt", "systemPrompt"`;

/** Relations are joined by PostgreSQL, so that one statement returns an object with all of them. */
const whole = `SELECT row_to_json(x)::text AS json FROM (SELECT a.*,
  (SELECT row_to_json(u) FROM (SELECT "id", "email" FROM "User" WHERE "id" = a."ownerId") u) AS owner,
  (SELECT json_agg(m) FROM "StarterMessage" m WHERE m."agentId" = a."id") AS starters,
  (SELECT json_agg(l) FROM "Label" l JOIN "_AgentToLabel" t ON t."B" = l."id" WHERE t."A" = a."id") AS labels,
  (SELECT json_agg(c) FROM "Action" c JOIN "_ActionToAgent" t ON t."A" = c."id" WHERE t."B" = a."id") AS actions,
  (SELECT json_agg(s) FROM "AgentShare" s WHERE s."agentId" = a."id") AS shares,
  (SELECT json_agg(d."title") FROM "Document" d JOIN "_AgentToDocument" t ON t."B" = d."id" WHERE t."A" = a."id") AS documents
  FROM "Agent" a`;

const statements = {
  '/graphql/list': [`SELECT ${columns} FROM "Agent" WHERE "deletedAt" IS NULL ORDER BY "id" LIMIT 50`],
  '/graphql/one': [`SELECT ${columns} FROM "Agent" WHERE "id" = $1`, 1],
  '/list': [`${whole} WHERE a."deletedAt" IS NULL ORDER BY a."id" LIMIT 50) x`],
  '/one': [`${whole} WHERE a."id" = $1) x`, 1],
  '/create': [`INSERT INTO "Agent" ("slug", "name", "updatedAt") VALUES ($1, $1, now()) RETURNING ${columns}`],
  '/me': [`SELECT "id", "name", "createdAt" FROM "Token" WHERE "hash" = $1`],
};

let created = 0;
async function answer(path, headers) {
  if (path === '/health') return '{}';
  const [text, value] = statements[path];
  const values =
    path === '/create'
      ? [`bench-${process.pid}-${created++}`]
      : path === '/me'
        ? [createHash('sha256').update(headers.authorization).digest()]
        : value === undefined
          ? []
          : [value];
  const { rows } = await pool.query({ name: path, text, values });
  return rows[0]?.json === undefined ? JSON.stringify(rows) : `[${rows.map(({ json }) => json).join(',')}]`;
}

createServer(async (request, response) => {
  for await (const chunk of request) void chunk;
  const json = await answer(request.url, request.headers);
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(json) });
  response.end(json);
}).listen(Number(process.env.PORT), '127.0.0.1');
