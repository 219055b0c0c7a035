import { z } from '@hono/zod-openapi';
import { graphql, type ResultOf } from '../graphql.ts';
import { isoDate } from '../shapes.ts';
import { FileDescriptor, fileDescriptor, MessageFile } from './file-shapes.ts';
import { byNumber, Passage, SavedSearchDoc, savedSearchDoc } from './search-doc.ts';

/** The range of GraphQL's Int. */
export const int32 = z.int().min(-0x8000_0000).max(0x7fff_ffff);

export const timestamp = z.iso.datetime({ offset: true, local: true });
/** Parses a time. A time without a zone is in UTC. */
export const instant = (text: string) => new Date(/(Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}Z`);

export const sharedStatus = z.enum(['public', 'private']);
export const SessionDetails = graphql(`
  fragment SessionDetails on ChatSession @_unmask {
    databaseId name agentId createdAt updatedAt sharing model temperature reasoningEffort
  }
`);

export const ChatSessionDetails = z
  .object({
    id: z.uuid(),
    name: z.string().nullable(),
    persona_id: z.int().nullable(),
    time_created: z.string(),
    time_updated: z.string(),
    shared_status: sharedStatus,
    current_alternate_model: z.string().nullable(),
    current_temperature_override: z.number().nullable(),
    current_reasoning_effort_override: z.string().nullable(),
  })
  .openapi('ChatSessionDetails');

export const status = (sharing: 'PRIVATE' | 'PUBLIC') =>
  sharing === 'PUBLIC' ? ('public' as const) : ('private' as const);

type Session = ResultOf<typeof SessionDetails>;

/** Returns the options of a session. */
export const overrides = ({ model, temperature, reasoningEffort }: Session) => ({
  current_alternate_model: model,
  current_temperature_override: temperature,
  current_reasoning_effort_override: reasoningEffort?.toLowerCase() ?? null,
});

export const sessionDetails = (session: Session): z.input<typeof ChatSessionDetails> => ({
  id: session.databaseId,
  name: session.name,
  persona_id: session.agentId,
  time_created: session.createdAt.toISOString(),
  time_updated: session.updatedAt.toISOString(),
  shared_status: status(session.sharing),
  ...overrides(session),
});

export const ChatSessionCreationRequest = z
  .object({
    persona_id: int32.default(0),
    description: z.string().nullish(),
    project_id: int32.nullish(),
    incognito: z
      .literal(false, 'incognito chats are not supported')
      .default(false)
      .openapi({ description: 'Must be false, because incognito chats are not supported. Defaults to false.' }),
  })
  .openapi('ChatSessionCreationRequest');

export const newSession = ({ persona_id, description, project_id }: z.infer<typeof ChatSessionCreationRequest>) => ({
  agentId: String(persona_id),
  name: description ?? null,
  projectId: project_id == null ? null : String(project_id),
});

export const StoredMessage = graphql(
  `
  fragment StoredMessage on ChatMessage @_unmask {
    databaseId sessionId parentId latestChildId preferredResponseId
    role status text reasoning error searchQuery model durationMs createdAt
    citations { number documentId }
    documents { ...Passage }
    files { ...MessageFile }
    feedback { rating }
  }
`,
  [Passage, MessageFile],
);
type Message = ResultOf<typeof StoredMessage>;

export const ChatMessageDetail = z
  .object({
    chat_session_id: z.uuid().nullable(),
    message_id: z.int(),
    parent_message: z.int().nullable(),
    latest_child_message: z.int().nullable(),
    message: z.string(),
    reasoning_tokens: z.string().nullable(),
    message_type: z.enum(['system', 'user', 'assistant']),
    context_docs: z.array(SavedSearchDoc).nullable(),
    citations: z.record(z.string(), z.string()).nullable(),
    time_sent: isoDate,
    files: z.array(FileDescriptor),
    error: z.string().nullable(),
    current_feedback: z.enum(['like', 'dislike']).nullable(),
    processing_duration_seconds: z.number().nullable(),
    preferred_response_id: z.int().nullable(),
    model_display_name: z.string().nullable(),
    request_params: z
      .record(z.string(), z.unknown())
      .nullable()
      .openapi({ description: 'This server always returns null.' }),
  })
  .openapi('ChatMessageDetail');

const feedbackNames = { LIKE: 'like', DISLIKE: 'dislike' } as const;

/** Marks a stopped answer as the contract does. */
const stoppedText = (text: string): string =>
  text ? `${text} ... \n\nGeneration was stopped by the user.` : 'The generation was stopped by the user.';

export const textOf = ({ status, text }: Message): string => (status === 'STOPPED' ? stoppedText(text) : text);

export const messageDetail = (stored: Message): z.input<typeof ChatMessageDetail> => ({
  chat_session_id: stored.sessionId,
  message_id: stored.databaseId,
  parent_message: stored.parentId,
  latest_child_message: stored.latestChildId,
  message: textOf(stored),
  reasoning_tokens: stored.reasoning,
  message_type: stored.role.toLowerCase() as 'system' | 'user' | 'assistant',
  context_docs: stored.role === 'ASSISTANT' ? byNumber(stored.documents).map(savedSearchDoc) : null,
  citations:
    stored.role === 'ASSISTANT'
      ? Object.fromEntries(stored.citations.map(({ number, documentId }) => [number, documentId]))
      : null,
  time_sent: stored.createdAt,
  files: stored.files.map(fileDescriptor),
  error: stored.error,
  current_feedback: stored.feedback?.rating ? feedbackNames[stored.feedback.rating] : null,
  processing_duration_seconds: stored.durationMs === null ? null : stored.durationMs / 1000,
  preferred_response_id: stored.preferredResponseId,
  model_display_name: stored.model,
  request_params: null,
});
