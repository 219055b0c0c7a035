import { z } from 'zod';
import { cutTo, storable, timeOf } from '../text.ts';

/** Rows of another server are data, not requests: a missing or invalid column is read as null. */
const column = <T>(read: (value: unknown) => T) => z.unknown().optional().transform(read);
const textOf = (value: unknown) =>
  typeof value === 'string' || typeof value === 'number' ? storable(String(value)) : null;
const text = column(textOf);
const int = column((value) => (Number.isSafeInteger(value) ? (value as number) : null));
const number = column((value) => (typeof value === 'number' && Number.isFinite(value) ? value : null));
/** Reads a boolean, which SQLite stores as a number. */
const truthOf = (value: unknown) => value === true || Number(value) === 1;
const truth = column(truthOf);
const time = column(timeOf);

/** The ID of a row; a row without one is invalid. */
const id = z.number().int();

export const UserRow = z.object({
  id,
  username: text,
  role: text,
  suspended: truth,
  dailyMessageLimit: int,
  bio: text,
  createdAt: time,
});

export const WorkspaceRow = z.object({
  id,
  name: text,
  slug: text,
  createdAt: time,
  openAiTemp: number,
  openAiHistory: number,
  openAiPrompt: text,
  similarityThreshold: number,
  topN: number,
  chatModel: text,
  chatMode: text,
  queryRefusalResponse: text,
});

export const MemberRow = z.object({ id, user_id: z.number().int(), workspace_id: z.number().int() });

export const DocumentRow = z.object({ id, docpath: text, workspaceId: z.number().int(), pinned: truth });

export const SuggestionRow = z.object({ id, workspaceId: z.number().int(), heading: text, message: text });

export const ThreadRow = z.object({
  id,
  name: text,
  slug: text,
  workspace_id: z.number().int(),
  user_id: int,
  createdAt: time,
  lastUpdatedAt: time,
});

export const ChatRow = z.object({
  id,
  workspaceId: z.number().int(),
  prompt: text,
  response: text,
  include: column((value) => value == null || truthOf(value)),
  user_id: int,
  thread_id: int,
  api_session_id: text,
  createdAt: time,
  feedbackScore: column((value) => (value == null ? null : truthOf(value))),
});

const Source = z.object({
  id: z.string().catch(''),
  url: z.string().catch(''),
  title: z.string().catch(''),
  chunkSource: z.string().catch(''),
  text: z.string().catch(''),
  score: z.number().min(0).max(1).catch(0),
});
export type Source = z.output<typeof Source>;

/** The stored answer of a chat. */
const Response = z.object({
  text: z.string(),
  sources: z.array(z.unknown()).catch([]),
  attachments: z.array(z.unknown()).catch([]),
  metrics: z.object({ model: z.string().nullish().catch(null), duration: z.number().nullish().catch(null) }).catch({}),
});

/** Maximum number of sources of an answer. */
const maxSources = 20;

export interface Answer {
  text: string;
  sources: Source[];
  attachments: number;
  model: string | null;
  durationMs: number | null;
}

/** Parses the answer of a chat. Returns null for invalid JSON. */
export function readAnswer(json: string): Answer | null {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return null;
  }
  const read = Response.safeParse(value);
  if (!read.success) return null;
  const { text, sources, attachments, metrics } = read.data;
  const { model, duration } = metrics;
  return {
    text,
    sources: sources.slice(0, maxSources).flatMap((source) => Source.safeParse(source).data ?? []),
    attachments: attachments.length,
    model: model ? cutTo(model, 200) : null,
    durationMs: duration != null && duration >= 0 && duration < 86_400 ? Math.round(duration * 1000) : null,
  };
}

const label = column((value) => textOf(value)?.trim() ?? '');
const amount = column((value) =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 0x7fff_ffff ? (value as number) : null,
);

/** A document file. */
export const StoredDocument = z.object({
  id: column((value) => (typeof value === 'string' ? storable(value).trim() : '')),
  title: label,
  url: label,
  docAuthor: label,
  description: label,
  docSource: label,
  chunkSource: label,
  published: label,
  wordCount: amount,
  token_count_estimate: amount,
  pageContent: z.string(),
});
export type StoredDocument = z.output<typeof StoredDocument>;

/** One chat of an export (`GET /v1/system/export-chats?type=json`). */
export const ExportedChat = z.object({
  id: z.union([z.number(), z.string()]),
  prompt: z.string(),
  response: z.string(),
  sent_at: time,
  workspace: label,
  username: label,
  rating: label,
  attachments: z.array(z.unknown()).catch([]),
});
export type ExportedChat = z.output<typeof ExportedChat>;
