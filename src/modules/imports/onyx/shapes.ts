import { z } from 'zod';
import { cutTo, storable, timeOf, webLink } from '../text.ts';

/** A field that a server omits or types differently is read as null. */
const column = <T>(read: (value: unknown) => T) => z.unknown().optional().transform(read);
const text = column((value) => (typeof value === 'string' ? storable(value) : null));
const flag = column((value) => (typeof value === 'boolean' ? value : null));
const int = column((value) => (Number.isSafeInteger(value) ? (value as number) : null));
const number = column((value) => (typeof value === 'number' && Number.isFinite(value) ? value : null));
const time = column(timeOf);
/** A list without its invalid items. */
const list = <S extends z.ZodType>(item: S) =>
  column((value) =>
    Array.isArray(value) ? value.flatMap((each) => item.safeParse(each).data ?? []) : [],
  ) as z.ZodType<z.output<S>[]>;

const id = z.number().int();
const idText = z.string().min(1).max(500);

export const AgentRef = z.object({ id, name: text, builtin_persona: flag });

export const Agent = z.object({
  id,
  name: text,
  description: text,
  system_prompt: text,
  task_prompt: text,
  replace_base_system_prompt: flag,
  datetime_aware: flag,
  is_public: flag,
  is_listed: flag,
  is_visible: flag,
  is_featured: flag,
  is_default_persona: flag,
  builtin_persona: flag,
  display_priority: int,
  icon_name: text,
  search_start_date: time,
  llm_model_version_override: text,
  starter_messages: list(z.object({ name: z.string(), message: z.string() })),
  labels: list(z.object({ name: z.string() })),
  tools: list(z.object({ name: z.string(), display_name: text, in_code_tool_id: text })),
  document_sets: list(z.object({ name: z.string() })),
  attached_documents: list(z.object({ id: z.string() })),
  hierarchy_nodes: list(z.object({})),
  user_file_ids: list(idText),
  users: list(z.object({ email: z.string() })),
  user_shares: list(z.object({ email: text, permission: text })),
  groups: list(id),
  group_shares: list(z.object({})),
  uploaded_image_id: text,
});
export type Agent = z.output<typeof Agent>;

export const SessionRef = z.object({
  id: z.uuid(),
  name: text,
  persona_id: int,
  time_created: time,
  time_updated: time,
  /** Kept unparsed, since the next page is requested with it. */
  current_temperature_override: number,
});
export type SessionRef = z.output<typeof SessionRef>;

export const SessionPage = z.object({ sessions: z.array(z.unknown()), has_more: flag });

const Passage = z.object({
  document_id: idText,
  semantic_identifier: text,
  link: column(webLink),
  blurb: text,
  source_type: text,
  chunk_ind: int,
  score: number,
  updated_at: time,
  primary_owners: list(z.string()),
  secondary_owners: list(z.string()),
  db_doc_id: int,
});
export type Passage = z.output<typeof Passage>;

export const Message = z.object({
  message_id: id,
  parent_message: int,
  latest_child_message: int,
  message: text,
  message_type: text,
  reasoning_tokens: text,
  context_docs: list(Passage),
  citations: column((value) => (typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {})),
  time_sent: time,
  files: list(z.object({ id: idText, name: text })),
  error: text,
  current_feedback: text,
  processing_duration_seconds: number,
  preferred_response_id: int,
  model_display_name: text,
});
export type Message = z.output<typeof Message>;

export const Session = z.object({
  chat_session_id: z.uuid(),
  description: text,
  persona_id: int,
  messages: z.array(z.unknown()),
  time_created: time,
  shared_status: text,
  current_alternate_model: text,
  current_temperature_override: number,
});
export type Session = z.output<typeof Session>;

export const Project = z.object({
  id,
  name: text,
  description: text,
  instructions: text,
  created_at: time,
  chat_sessions: list(SessionRef),
});
export type Project = z.output<typeof Project>;

export const ProjectFile = z.object({ id: idText, name: text, file_id: text });
export type ProjectFile = z.output<typeof ProjectFile>;
export const Instructions = z.object({ instructions: text });
export const Named = z.object({ name: text });

/** Truncates a text to a name, or returns null for a blank one. */
export const nameOf = (name: string | null, max: number): string | null => cutTo(name ?? '', max).trim() || null;
