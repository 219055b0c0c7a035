import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import initSqlJs from 'sql.js';

/** The relevant tables of AnythingLLM 1.16, as its migrations create them. */
const schema = `
  CREATE TABLE "users" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "username" TEXT, "password" TEXT NOT NULL,
    "pfpFilename" TEXT, "role" TEXT NOT NULL DEFAULT 'default', "suspended" INTEGER NOT NULL DEFAULT 0,
    "seen_recovery_codes" BOOLEAN DEFAULT false, "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "lastUpdatedAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, "dailyMessageLimit" INTEGER, "bio" TEXT DEFAULT '');
  CREATE TABLE "workspaces" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "name" TEXT NOT NULL, "slug" TEXT NOT NULL,
    "vectorTag" TEXT, "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, "openAiTemp" REAL,
    "openAiHistory" INTEGER NOT NULL DEFAULT 20, "lastUpdatedAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "openAiPrompt" TEXT, "similarityThreshold" REAL DEFAULT 0.25, "chatProvider" TEXT, "chatModel" TEXT,
    "topN" INTEGER DEFAULT 4, "chatMode" TEXT DEFAULT 'automatic', "pfpFilename" TEXT, "agentProvider" TEXT,
    "agentModel" TEXT, "queryRefusalResponse" TEXT, "vectorSearchMode" TEXT DEFAULT 'default', "router_id" INTEGER);
  CREATE TABLE "workspace_documents" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "docId" TEXT NOT NULL,
    "filename" TEXT NOT NULL, "docpath" TEXT NOT NULL, "workspaceId" INTEGER NOT NULL, "metadata" TEXT,
    "pinned" BOOLEAN DEFAULT false, "watched" BOOLEAN DEFAULT false,
    "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, "lastUpdatedAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP);
  CREATE TABLE "workspace_threads" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "name" TEXT NOT NULL,
    "slug" TEXT NOT NULL, "workspace_id" INTEGER NOT NULL, "user_id" INTEGER,
    "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, "lastUpdatedAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP);
  CREATE TABLE "workspace_chats" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "workspaceId" INTEGER NOT NULL,
    "prompt" TEXT NOT NULL, "response" TEXT NOT NULL, "include" BOOLEAN NOT NULL DEFAULT true, "user_id" INTEGER,
    "thread_id" INTEGER, "api_session_id" TEXT, "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "lastUpdatedAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, "feedbackScore" BOOLEAN, "memoryProcessed" BOOLEAN);
  CREATE TABLE "workspace_users" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "user_id" INTEGER NOT NULL,
    "workspace_id" INTEGER NOT NULL, "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "lastUpdatedAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP);
  CREATE TABLE "system_settings" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "label" TEXT NOT NULL, "value" TEXT,
    "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, "lastUpdatedAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP);
  CREATE TABLE "invites" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "code" TEXT NOT NULL,
    "status" TEXT NOT NULL DEFAULT 'pending', "claimedBy" INTEGER, "workspaceIds" TEXT,
    "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, "createdBy" INTEGER NOT NULL,
    "lastUpdatedAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP);
  CREATE TABLE "api_keys" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "name" TEXT, "secret" TEXT,
    "createdBy" INTEGER, "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "lastUpdatedAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP);
  CREATE TABLE "embed_configs" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "uuid" TEXT NOT NULL,
    "enabled" BOOLEAN NOT NULL DEFAULT false, "chat_mode" TEXT NOT NULL DEFAULT 'query', "workspace_id" INTEGER NOT NULL,
    "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP);
  CREATE TABLE "embed_chats" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "prompt" TEXT NOT NULL,
    "response" TEXT NOT NULL, "session_id" TEXT NOT NULL, "include" BOOLEAN NOT NULL DEFAULT true,
    "connection_information" TEXT, "embed_id" INTEGER NOT NULL, "usersId" INTEGER,
    "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP);
  CREATE TABLE "workspace_suggested_messages" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "workspaceId" INTEGER NOT NULL, "heading" TEXT NOT NULL, "message" TEXT NOT NULL,
    "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, "lastUpdatedAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP);
`;

type Value = string | number | null;
export type Rows = Record<string, Record<string, Value>[]>;

/** Returns an AnythingLLM database with these rows. */
async function sqlite(rows: Rows): Promise<Uint8Array> {
  const { Database } = await initSqlJs();
  const db = new Database();
  db.run(schema);
  for (const [table, list] of Object.entries(rows))
    for (const row of list) {
      const columns = Object.keys(row);
      db.run(
        `INSERT INTO "${table}" (${columns.map((name) => `"${name}"`).join()}) VALUES (${columns.map(() => '?').join()})`,
        Object.values(row),
      );
    }
  const bytes = db.export();
  db.close();
  return bytes;
}

/** Returns a document in the format of AnythingLLM's collector. */
export const document = (title: string, pageContent: string, rest: object = {}) => ({
  id: `${title}-id`,
  url: `file:///app/collector/hotdir/${title}`,
  title,
  docAuthor: 'Ada',
  description: 'A document.',
  docSource: 'a file',
  chunkSource: '',
  published: '11/14/2023, 10:13:20 PM',
  wordCount: pageContent.split(' ').length,
  pageContent,
  token_count_estimate: 12,
  ...rest,
});

export interface StorageFolder {
  path: string;
  /** Writes the database again. */
  database(rows: Rows): Promise<void>;
  /** Writes a file at a path within the folder. */
  write(name: string, content: string | Uint8Array): void;
  remove(): void;
}

/** Creates an empty storage folder. */
export function storageFolder(): StorageFolder {
  const path = mkdtempSync(join(tmpdir(), 'latchkey-anythingllm-'));
  const write: StorageFolder['write'] = (name, content) => {
    mkdirSync(join(path, name, '..'), { recursive: true });
    writeFileSync(join(path, name), content);
  };
  return {
    path,
    write,
    database: async (rows) => write('anythingllm.db', await sqlite(rows)),
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** Returns an answer in AnythingLLM's storage format. */
export const response = (text: string, rest: object = {}): string =>
  JSON.stringify({ text, sources: [], type: 'chat', attachments: [], metrics: {}, ...rest });
