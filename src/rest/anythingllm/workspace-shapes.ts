import { z } from '@hono/zod-openapi';
import type { AppError } from '../../errors.ts';
import type { Failure } from '../dialect.ts';
import { graphql, type ResultOf } from '../graphql.ts';
import { isoDate } from '../shapes.ts';
import { DocumentFields, detailsOf } from './document-shapes.ts';
import { workspaceIdOf } from './workspace-id.ts';

/** Returns the response for an unknown workspace, where the contract states no other. */
export const unknownWorkspace = ({ reason }: AppError): Failure | null =>
  reason === 'AGENT_NOT_FOUND' ? { status: 400, body: 'Bad Request' } : null;

/** The modes of a workspace as these clients send them. */
export const chatModes = ['automatic', 'chat', 'query'] as const;
type ChatModeName = (typeof chatModes)[number];
type Mode = Uppercase<ChatModeName>;

/** An unknown mode is the first one. */
export const toChatMode = (name: unknown): Mode =>
  (chatModes.find((mode) => mode === name) ?? 'automatic').toUpperCase() as Mode;
export const fromChatMode = (mode: Mode): ChatModeName => mode.toLowerCase() as ChatModeName;

// ---- threads

export const ThreadFields = graphql(`
  fragment ThreadOfWorkspace on ChatSession @_unmask { number slug name ownerNumber }
`);

/** A thread in lists. */
export const Thread = z
  .object({ user_id: z.int().nullable(), slug: z.string(), name: z.string() })
  .openapi('WorkspaceThread');

/** The default name of a thread. */
const unnamed = 'Thread';

/** Returns the threads of a workspace, oldest first; an empty list for callers without `read:chat`. */
export const threadsOf = (sessions: { nodes: ResultOf<typeof ThreadFields>[] } | null): z.input<typeof Thread>[] =>
  (sessions?.nodes ?? [])
    .toSorted((one, other) => one.number - other.number)
    .map(({ ownerNumber, slug, name }) => ({ user_id: ownerNumber, slug, name: name ?? unnamed }));

// ---- workspaces

export const WorkspaceFields = graphql(`
  fragment Workspace on Agent @_unmask {
    databaseId name slug createdAt updatedAt
    systemPrompt model temperature historyLimit similarityThreshold passageLimit chatMode refusalText
  }
`);

/** Not supported by this server, but expected by clients. */
const absent = z.null().openapi({ description: 'This server always returns null.' });

const workspaceFields = {
  id: z.int(),
  name: z.string(),
  slug: z.string(),
  vectorTag: absent,
  createdAt: isoDate,
  openAiTemp: z.number().nullable(),
  openAiHistory: z.int().openapi({
    description: 'Maximum number of earlier messages that the model receives. Also 20 for an agent without a maximum.',
  }),
  lastUpdatedAt: isoDate,
  openAiPrompt: z.string().nullable(),
  similarityThreshold: z.number(),
  chatProvider: absent,
  chatModel: z.string().nullable(),
  topN: z.int(),
  chatMode: z.enum(chatModes),
  pfpFilename: absent,
  agentProvider: absent,
  agentModel: absent,
  queryRefusalResponse: z.string().nullable(),
  vectorSearchMode: z.literal('default'),
  router_id: absent,
};
export const Workspace = z.object(workspaceFields).openapi('Workspace');

/** Default number of earlier messages that the model receives in a workspace. */
export const defaultHistory = 20;

export const workspace = (agent: ResultOf<typeof WorkspaceFields>): z.input<typeof Workspace> => ({
  id: workspaceIdOf(agent.databaseId),
  name: agent.name,
  slug: agent.slug,
  vectorTag: null,
  createdAt: agent.createdAt,
  openAiTemp: agent.temperature,
  openAiHistory: agent.historyLimit ?? defaultHistory,
  lastUpdatedAt: agent.updatedAt,
  openAiPrompt: agent.systemPrompt || null,
  similarityThreshold: agent.similarityThreshold,
  chatProvider: null,
  chatModel: agent.model,
  topN: agent.passageLimit,
  chatMode: fromChatMode(agent.chatMode),
  pfpFilename: null,
  agentProvider: null,
  agentModel: null,
  queryRefusalResponse: agent.refusalText,
  vectorSearchMode: 'default',
  router_id: null,
});

// ---- documents of a workspace

export const WorkspaceDocumentFields = graphql(
  `
  fragment WorkspaceDocuments on Agent @_unmask {
    databaseId
    documents(filesIncluded: false, first: 2147483647) { nodes { databaseId updatedAt ...AnythingLLMDocument } }
    pinnedDocuments(first: 2147483647) { nodes { databaseId tokenCount } }
  }
`,
  [DocumentFields],
);
type WithDocuments = ResultOf<typeof WorkspaceDocumentFields>;

export const WsDoc = z
  .object({
    id: z.int(),
    docId: z.string(),
    filename: z.string(),
    docpath: z.string(),
    workspaceId: z.int(),
    metadata: z.string().openapi({ description: 'The properties of the document, as JSON text.' }),
    pinned: z.boolean(),
    watched: z.literal(false),
    createdAt: isoDate,
    lastUpdatedAt: isoDate,
  })
  .openapi('WorkspaceDocument');

/** Returns the documents of a workspace; an empty list for callers without `read:search`. */
export function wsDocs({ databaseId, documents, pinnedDocuments }: WithDocuments): z.input<typeof WsDoc>[] {
  const pinned = new Set(pinnedDocuments?.nodes.map((document) => document.databaseId));
  return (documents?.nodes ?? []).map((document) => ({
    id: document.databaseId,
    docId: document.documentId,
    filename: document.fileName,
    docpath: document.location,
    workspaceId: workspaceIdOf(databaseId),
    metadata: JSON.stringify(detailsOf(document)),
    pinned: pinned.has(document.databaseId),
    watched: false,
    createdAt: document.createdAt,
    lastUpdatedAt: document.updatedAt,
  }));
}

/** Estimates the tokens of the pinned documents of a workspace. */
export const pinnedTokens = ({ pinnedDocuments }: WithDocuments): number =>
  (pinnedDocuments?.nodes ?? []).reduce((sum, { tokenCount }) => sum + tokenCount, 0);
