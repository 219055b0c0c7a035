import { randomUUID } from 'node:crypto';
import { encodeGlobalID } from '@pothos/plugin-relay';
import type { Permission } from '../../src/authz/permissions.ts';
import { nodeTypes } from '../../src/graphql/nodes.ts';
import type { Grant, Targets } from './targets.ts';

/** What a sample may be made from. */
export interface Scene {
  targets: Targets;
  /** A permission that the caller holds, and the least role that does: what they may hand on. */
  grant: Grant;
  /** A word that A's things hold, for searches. */
  word: string;
}

/** Arguments of a GraphQL field. What a type requires and a sample leaves out is made up. */
export type FieldSample = (scene: Scene) => Promise<Record<string, unknown>>;

/** What a REST row is called with. Path parameters that stand in `pathParameters` need no mention. */
export interface RowCall {
  params?: Record<string, string | number>;
  query?: Record<string, string>;
  body?: Record<string, unknown>;
}
export type RowSample = (scene: Scene) => Promise<RowCall>;

/** A name that nothing has yet. */
const fresh = () => `matrix ${randomUUID()}`;
const search = { word: async ({ word }: Scene) => ({ query: word, first: 100 }) };
const thisAgent: FieldSample = async ({ targets }) => ({ input: { databaseId: await targets.agent() } });

/**
 * By `Type.field`, and by `Type.field#variant` for a second way of calling it. Every mutation aims at something that is
 * there, and asks for a change that would show.
 */
export const fieldSamples: Record<string, FieldSample> = {
  // An id of no type; those of each type are the variants below.
  'Query.node': async () => ({ id: encodeGlobalID('Nothing', 1) }),
  'Query.nodes': async () => ({ ids: [] }),
  'Query.can': async () => ({ permission: 'write:chat' }),
  'Query.agent': async ({ targets }) => ({ databaseId: await targets.agent() }),
  'Query.agents#ids': async ({ targets }) => ({
    filter: { databaseIds: [await targets.agent()], includeDeleted: true },
  }),
  'Query.agents#deleted': async ({ targets }) => ({
    filter: { databaseIds: [await targets.deletedAgent()], includeDeleted: true },
  }),
  'Query.chatSessions': async () => ({ first: 100, includeFailed: true }),
  'Query.chatSession': async ({ targets }) => ({ id: await targets.session() }),
  'Query.chatSession#deleted': async ({ targets }) => ({
    id: await targets.deletedSession(),
    includeDeleted: true,
  }),
  'Query.searchChats': search.word,
  'Query.search': search.word,
  'Query.search#agent': async ({ targets, word }) => ({ query: word, agentId: await targets.agent() }),
  'Mutation.createAgent': async () => ({ input: { name: fresh(), isPublic: true } }),
  'Mutation.createAgent#document': async ({ targets }) => ({
    input: { name: fresh(), documentIds: [(await targets.document()).externalId] },
  }),
  'Mutation.updateAgent': async ({ targets }) => ({
    input: { databaseId: await targets.agent(), name: fresh(), systemPrompt: 'taken over' },
  }),
  'Mutation.updateAgent#globalId': async ({ targets }) => ({
    input: { id: encodeGlobalID('Agent', await targets.agent()), description: 'taken over' },
  }),
  'Mutation.shareAgent': async ({ targets }) => ({ input: { databaseId: await targets.agent(), isPublic: true } }),
  'Mutation.curateAgent': async ({ targets }) => ({
    input: { databaseId: await targets.agent(), isListed: false, displayPriority: 1 },
  }),
  'Mutation.deleteAgent': thisAgent,
  'Mutation.undeleteAgent': async ({ targets }) => ({ input: { databaseId: await targets.deletedAgent() } }),
  'Mutation.createLabel': async () => ({ input: { name: fresh() } }),
  'Mutation.createChatSession': async () => ({ input: { name: fresh() } }),
  'Mutation.createChatSession#agent': async ({ targets }) => ({ input: { agentId: await targets.agent() } }),
  'Mutation.updateChatSession': async ({ targets }) => ({
    input: { sessionId: await targets.session(), name: 'taken over' },
  }),
  'Mutation.updateChatSession#share': async ({ targets }) => ({
    input: { sessionId: await targets.session(), sharing: 'PUBLIC' },
  }),
  'Mutation.deleteChatSession': async ({ targets }) => ({ input: { sessionId: await targets.session() } }),
  'Mutation.deleteChatSession#hard': async ({ targets }) => ({
    input: { sessionId: await targets.session(), hard: true },
  }),
  // There has to be something to delete, whoever's it is.
  'Mutation.deleteAllChatSessions': async ({ targets }) => {
    await targets.session();
    return {};
  },
  'Mutation.sendChatMessage': async ({ targets }) => ({
    input: { sessionId: await targets.session(), message: 'What is this?' },
  }),
  'Mutation.sendChatMessage#agent': async ({ targets }) => ({
    input: { newSession: { agentId: await targets.agent() }, message: 'What is this?' },
  }),
  'Mutation.stopChatRun': async ({ targets }) => ({ input: { sessionId: await targets.session() } }),
  'Mutation.createApiKey': async ({ grant }) => ({
    input: { name: fresh(), role: grant.role, scopes: [grant.scope] },
  }),
  'Mutation.updateApiKey': async ({ targets, grant }) => ({
    input: { databaseId: await targets.apiKey(grant), name: 'taken over', disabled: true },
  }),
  'Mutation.regenerateApiKey': async ({ targets, grant }) => ({ input: { databaseId: await targets.apiKey(grant) } }),
  'Mutation.deleteApiKey': async ({ targets, grant }) => ({ input: { databaseId: await targets.apiKey(grant) } }),
  'Mutation.createPersonalAccessToken': async ({ grant }) => ({ input: { name: fresh(), scopes: [grant.scope] } }),
  'Mutation.revokePersonalAccessToken': async ({ targets }) => ({
    input: { databaseId: await targets.personalAccessToken() },
  }),
  'Mutation.ingestDocument': async () => ({ input: { title: fresh(), sections: [{ text: 'Planted.' }] } }),
  'Mutation.deleteDocument': async ({ targets }) => ({ input: { documentId: (await targets.document()).externalId } }),
  'Subscription.chatTurn': async ({ targets }) => ({
    input: { sessionId: await targets.session(), message: 'What is this?' },
  }),
  'Subscription.chatTurn#agent': async ({ targets }) => ({
    input: { newSession: { agentId: await targets.agent() }, message: 'What is this?' },
  }),
  'Subscription.chatRun': async ({ targets }) => ({ runId: await targets.run() }),
};

/** What `node` finds: an id of each type that it knows. Made into the variants `Query.node#Type` and `Query.nodes#Type`. */
export const nodeSamples: Record<string, (scene: Scene) => Promise<string | number>> = {
  Agent: ({ targets }) => targets.agent(),
  ChatSession: ({ targets }) => targets.session(),
  ChatMessage: ({ targets }) => targets.message(),
  ApiKey: ({ targets, grant }) => targets.apiKey(grant),
  PersonalAccessToken: ({ targets }) => targets.personalAccessToken(),
  Document: async ({ targets }) => (await targets.document()).id,
  // Whatever was recorded first: there is always something, since keys were made.
  AuditEvent: async () => 1,
};

for (const type of nodeTypes().keys()) {
  const idOf = async (scene: Scene) => encodeGlobalID(type, (await nodeSamples[type]?.(scene)) ?? 1);
  fieldSamples[`Query.node#${type}`] = async (scene) => ({ id: await idOf(scene) });
  fieldSamples[`Query.nodes#${type}`] = async (scene) => ({ ids: [await idOf(scene)] });
}

/** `node` asks for a credential, and then for what its type asks for. */
export const variantRequirements = new Map<string, Permission>(
  [...nodeTypes()].flatMap(([type, { permission }]) => [
    [`Query.node#${type}`, permission],
    [`Query.nodes#${type}`, permission],
  ]),
);

/** What stands for `{name}` in a row's path. */
export const pathParameters: Record<string, (scene: Scene) => Promise<string | number>> = {
  session_id: ({ targets }) => targets.session(),
  chat_session_id: ({ targets }) => targets.session(),
  persona_id: ({ targets }) => targets.agent(),
  api_key_id: ({ targets, grant }) => targets.apiKey(grant),
  token_id: ({ targets }) => targets.personalAccessToken(),
  document_id: async ({ targets }) => (await targets.document()).externalId,
  // The search action, which comes with the server.
  tool_id: async () => 1,
};

const persona = () => ({
  name: fresh(),
  description: 'taken over',
  document_set_ids: [],
  tool_ids: [],
  system_prompt: 'taken over',
  task_prompt: '',
  datetime_aware: false,
});
const apiKey = ({ grant }: Scene) => ({ name: fresh(), role: grant.role.toLowerCase(), scopes: [grant.scope] });

/**
 * By `METHOD /path`, and by `METHOD /path#variant`. A row needs an entry when its body cannot be made up from its shape
 * (see `madeUpBody`), or when what is made up would change nothing.
 */
export const rowSamples: Record<string, RowSample> = {
  'POST /admin/api-key': async (scene) => ({ body: apiKey(scene) }),
  'PATCH /admin/api-key/{api_key_id}': async (scene) => ({ body: apiKey(scene) }),
  'POST /user/pats': async ({ grant }) => ({ body: { name: fresh(), scopes: [grant.scope] } }),
  'POST /persona': async () => ({ body: { ...persona(), is_public: true } }),
  'POST /persona#document': async ({ targets }) => ({
    body: { ...persona(), document_ids: [(await targets.document()).externalId] },
  }),
  'PATCH /persona/{persona_id}': async () => ({ body: persona() }),
  'PATCH /persona/{persona_id}/share': async () => ({ body: { is_public: true } }),
  'PATCH /admin/persona/{persona_id}/undelete': async ({ targets }) => ({
    params: { persona_id: await targets.deletedAgent() },
  }),
  'GET /agents': async () => ({ query: { page_size: '1000' } }),
  'GET /persona#ids': async ({ targets }) => ({ query: { persona_ids: String(await targets.agent()) } }),
  'GET /chat/get-user-chat-sessions': async () => ({ query: { page_size: '100', include_failed_chats: 'true' } }),
  'GET /chat/get-chat-session/{session_id}#deleted': async ({ targets }) => ({
    params: { session_id: await targets.deletedSession() },
    query: { include_deleted: 'true' },
  }),
  'GET /chat/search': async ({ word }) => ({ query: { query: word, page_size: '100' } }),
  'POST /chat/create-chat-session#agent': async ({ targets }) => ({ body: { persona_id: await targets.agent() } }),
  'POST /chat/send-chat-message': async ({ targets }) => ({
    body: { chat_session_id: await targets.session(), message: 'What is this?', stream: false },
  }),
  'POST /chat/send-chat-message#stream': async ({ targets }) => ({
    body: { chat_session_id: await targets.session(), message: 'What is this?', stream: true },
  }),
  'POST /chat/send-chat-message#agent': async ({ targets }) => ({
    body: { chat_session_info: { persona_id: await targets.agent() }, message: 'What is this?', stream: false },
  }),
  'PUT /chat/rename-chat-session': async ({ targets }) => ({
    body: { chat_session_id: await targets.session(), name: 'taken over' },
  }),
  'PATCH /chat/chat-session/{session_id}': async () => ({ body: { sharing_status: 'public' } }),
  'DELETE /chat/delete-chat-session/{session_id}#hard': async () => ({ query: { hard_delete: 'true' } }),
  'DELETE /chat/delete-all-chat-sessions': async ({ targets }) => {
    await targets.session();
    return {};
  },
  'POST /onyx-api/ingestion': async () => ({
    body: { document: { semantic_identifier: fresh(), sections: [{ text: 'Planted.' }], metadata: {} } },
  }),
};

/** Operations that answer well without changing anything, though their name says that they do, and why. */
export const changesNothing = new Map([
  ['Mutation.stopChatRun', 'the sample session is not answering'],
  ['POST /chat/stop-chat-session/{chat_session_id}', 'the sample session is not answering'],
]);
