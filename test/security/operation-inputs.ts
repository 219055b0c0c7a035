import { randomUUID } from 'node:crypto';
import { encodeGlobalID } from '@pothos/plugin-relay';
import { holdsInProject, isPermission, type Permission } from '../../src/authz/permissions.ts';
import { newSecret } from '../../src/authz/secret.ts';
import { nodeTypes } from '../../src/graphql/nodes.ts';
import { withScopes } from '../kit.ts';
import type { Caller } from './callers.ts';
import type { Grant, Targets } from './targets.ts';

/** The values that inputs are created from. */
export interface Scene {
  targets: Targets;
  /** A permission that the caller has, with the lowest role that has it: what the caller can grant. */
  grant: Grant;
  /** A word in A's objects, for searches. */
  word: string;
}

/** Returns the arguments of a GraphQL field. Omitted required values are generated. */
export type FieldSample = (scene: Scene) => Promise<Record<string, unknown>>;

/** The parameters of an endpoint. Those in `pathParameters` can be omitted. */
export interface RowCall {
  params?: Record<string, string | number>;
  query?: Record<string, string>;
  body?: Record<string, unknown>;
}
export type RowSample = (scene: Scene) => Promise<RowCall>;

/** Returns an unused name. */
const fresh = () => `matrix ${randomUUID()}`;
/** Returns an unused address. */
const freshEmail = () => `${randomUUID()}@matrix.example`;
const planted = () => new File(['Planted.'], 'planted.txt');
/** Returns an unused user name. */
const freshUsername = () => `m${randomUUID()}`;
const password = 'a password of the matrix';
const limit = { tokenBudget: 1e12, periodHours: 24 };
/**
 * Returns the permission of a grant if a project token can have it, or one that every token creator in these tests has.
 */
const confinable = ({ scope }: Grant) => (isPermission(scope) && holdsInProject(scope) ? scope : 'write:chat');
/** Returns a person that the caller can administer: with no more permissions than the caller can grant. */
const person = ({ targets, grant }: Scene) => targets.person(grant.role);
const thisPerson: FieldSample = async (scene) => ({ input: { user: { id: (await person(scene)).id } } });
const completion: FieldSample = async ({ targets }) => ({
  input: {
    model: (await targets.workspace()).slug,
    messages: [{ role: 'USER', content: [{ text: 'What is this?' }] }],
  },
});
const search = { word: async ({ word }: Scene) => ({ query: word, first: 100 }) };
const thisAgent: FieldSample = async ({ targets }) => ({ input: { agent: { id: await targets.agent() } } });

/**
 * Inputs by `Type.field`, and by `Type.field#variant` for another way to call it. Every mutation has an existing target
 * and requests a visible change.
 */
/** Returns the input fields that identify a visitor's chat. */
const ofVisitorInput = ({ uuid, sessionId }: { uuid: string; sessionId: string }) => ({
  uuid,
  clientSessionId: sessionId,
});

export const fieldSamples: Record<string, FieldSample> = {
  // An ID of an unknown type; the variants below have an ID of each type.
  'Query.node': async () => ({ id: encodeGlobalID('Nothing', 1) }),
  'Query.nodes': async () => ({ ids: [] }),
  'Query.can': async () => ({ permission: 'WRITE_CHAT' }),
  'Query.agent': async ({ targets }) => ({ id: await targets.agent() }),
  'Query.agents#ids': async ({ targets }) => ({
    filter: { ids: [await targets.agent()], includeDeleted: true },
  }),
  'Query.agents#deleted': async ({ targets }) => ({
    filter: { ids: [await targets.deletedAgent()], includeDeleted: true },
  }),
  'Query.chatSessions': async () => ({ first: 20, filter: { includeFailed: true } }),
  'Query.chatSession': async ({ targets }) => ({ id: await targets.session() }),
  'Query.chatSession#deleted': async ({ targets }) => ({
    id: await targets.deletedSession(),
    includeDeleted: true,
  }),
  'Query.chatSessions#search': async ({ word }) => ({ first: 20, filter: { search: word } }),
  'Query.chatSession#globalId': async ({ targets }) => ({
    id: encodeGlobalID('ChatSession', await targets.session()),
  }),
  'Query.search': search.word,
  'Query.search#agent': async ({ targets, word }) => ({ query: word, agent: { id: await targets.agent() } }),
  'Mutation.createAgent': async () => ({ input: { name: fresh(), isPublic: true } }),
  'Mutation.createAgent#document': async ({ targets }) => ({
    input: { name: fresh(), documentIds: [(await targets.document()).externalId] },
  }),
  'Mutation.updateAgent': async ({ targets }) => ({
    input: { agent: { id: await targets.agent() }, name: fresh(), systemPrompt: 'taken over' },
  }),
  'Mutation.updateAgent#globalId': async ({ targets }) => ({
    input: { agent: { id: encodeGlobalID('Agent', await targets.agent()) }, description: 'taken over' },
  }),
  'Mutation.shareAgent': async ({ targets }) => ({ input: { agent: { id: await targets.agent() }, isPublic: true } }),
  'Mutation.curateAgent': async ({ targets }) => ({
    input: { agent: { id: await targets.agent() }, isListed: false, displayPriority: 1 },
  }),
  'Mutation.deleteAgent': thisAgent,
  'Mutation.undeleteAgent': async ({ targets }) => ({ input: { agent: { id: await targets.deletedAgent() } } }),
  'Mutation.createLabel': async () => ({ input: { name: fresh() } }),
  'Mutation.createChatSession': async () => ({ input: { name: fresh() } }),
  'Mutation.createChatSession#agent': async ({ targets }) => ({ input: { agentId: await targets.agent() } }),
  'Mutation.updateChatSession': async ({ targets }) => ({
    input: { session: { id: await targets.session() }, name: 'taken over' },
  }),
  'Mutation.updateChatSession#share': async ({ targets }) => ({
    input: { session: { id: await targets.session() }, sharing: 'PUBLIC' },
  }),
  'Mutation.deleteChatSession': async ({ targets }) => ({
    input: { session: { id: await targets.session() } },
  }),
  'Mutation.deleteChatSession#hard': async ({ targets }) => ({
    input: { session: { id: await targets.session() }, hard: true },
  }),
  // An object to delete must exist, of any owner.
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
    input: withScopes({ name: fresh(), role: grant.role, scopes: [grant.scope] }),
  }),
  'Mutation.updateApiKey': async ({ targets, grant }) => ({
    input: { id: await targets.apiKey(grant), name: 'taken over', disabled: true },
  }),
  'Mutation.regenerateApiKey': async ({ targets, grant }) => ({ input: { id: await targets.apiKey(grant) } }),
  'Mutation.deleteApiKey': async ({ targets, grant }) => ({ input: { id: await targets.apiKey(grant) } }),
  'Mutation.createPersonalAccessToken': async ({ grant }) => ({
    input: withScopes({ name: fresh(), scopes: [grant.scope] }),
  }),
  'Mutation.revokePersonalAccessToken': async ({ targets }) => ({
    input: { id: await targets.personalAccessToken() },
  }),
  'Query.users': async () => ({ first: 100, includeServiceAccounts: true }),
  'Query.introspectToken': async () => ({ token: newSecret('API_KEY') }),
  'Query.projectTokens': async () => ({ first: 100 }),
  'Mutation.register': async () => ({ input: { email: freshEmail(), password } }),
  'Mutation.inviteUsers': async () => ({ input: { emails: [freshEmail()] } }),
  'Mutation.removeInvitation': async ({ targets }) => ({ input: { email: (await targets.invitation()).email } }),
  'Mutation.removeInvitation#id': async ({ targets }) => ({ input: { id: (await targets.invitation()).id } }),
  'Mutation.createUser': async ({ grant }) => ({ input: { email: freshEmail(), password, role: grant.role } }),
  'Mutation.activateUser': async ({ targets, grant }) => ({
    input: { user: { id: (await targets.deactivatedPerson(grant.role)).id } },
  }),
  'Mutation.deactivateUser': thisPerson,
  'Mutation.resetUserPassword': thisPerson,
  'Mutation.changeUserRole': async (scene) => ({
    input: { user: { id: (await person(scene)).id }, role: 'LIMITED' },
  }),
  'Mutation.deleteUser': async ({ targets, grant }) => ({
    input: { user: { id: (await targets.deactivatedPerson(grant.role)).id } },
  }),
  'Mutation.enableMultiUser': async () => ({ input: { username: 'matrix', password } }),
  'Query.project': async ({ targets }) => ({ id: await targets.project() }),
  'Mutation.updateProject': async ({ targets }) => ({
    input: { id: await targets.project(), instructions: 'taken over' },
  }),
  'Mutation.deleteProject': async ({ targets }) => ({ input: { id: await targets.project() } }),
  'Mutation.addProjectDocument': async ({ targets }) => ({
    input: { projectId: await targets.project(), title: fresh(), sections: [{ text: 'Planted.' }] },
  }),
  'Mutation.removeProjectDocument': async ({ targets }) => ({ input: { documentId: await targets.projectDocument() } }),
  'Mutation.moveChatSession': async ({ targets }) => ({
    input: { sessionId: await targets.session(), projectId: await targets.project() },
  }),
  'Mutation.createProjectToken': async ({ targets, grant }) => ({
    input: withScopes({ name: fresh(), projectId: await targets.project(), scopes: [confinable(grant)] }),
  }),
  'Mutation.updateProjectToken': async ({ targets }) => ({
    input: { id: await targets.projectToken(), name: 'taken over', disabled: true },
  }),
  'Mutation.regenerateProjectToken': async ({ targets }) => ({ input: { id: await targets.projectToken() } }),
  'Mutation.deleteProjectToken': async ({ targets }) => ({ input: { id: await targets.projectToken() } }),
  'Query.availableContextTokens': async ({ targets }) => ({ target: { sessionId: await targets.session() } }),
  'Query.availableContextTokens#agent': async ({ targets }) => ({ target: { agentId: await targets.agent() } }),
  'Query.exportChatSession': async ({ targets }) => ({ id: await targets.session(), format: 'JSON' }),
  'Query.exportChatSession#markdown': async ({ targets }) => ({ id: await targets.session(), format: 'MARKDOWN' }),
  'Query.feedback': async () => ({ first: 20 }),
  'Mutation.seedChatSession': async ({ targets }) => ({
    input: { agentId: await targets.agent(), message: 'What is this?', name: fresh() },
  }),
  'Mutation.rateChatMessage': async ({ targets }) => ({
    input: { messageId: (await targets.answer()).id, rating: 'LIKE', comment: 'taken over' },
  }),
  'Mutation.removeChatMessageRating': async ({ targets }) => ({ input: { messageId: await targets.ratedAnswer() } }),
  'Mutation.selectChatBranch': async ({ targets }) => ({ input: { messageId: (await targets.answer()).id } }),
  'Mutation.setPreferredResponse': async ({ targets }) => {
    const { id, questionId } = await targets.answer();
    return { input: { questionId, responseId: id } };
  },
  'Mutation.setPreferredResponse#none': async ({ targets }) => ({
    input: { questionId: await targets.message(), clear: ['RESPONSE_ID'] },
  }),
  'Mutation.updateChatSession#overrides': async ({ targets }) => ({
    input: { session: { id: await targets.session() }, temperature: 1.5, reasoningEffort: 'LOW' },
  }),
  'Subscription.chatRun#session': async ({ targets }) => ({
    run: { sessionId: await targets.runningSession() },
  }),
  'Query.file': async ({ targets }) => ({ id: await targets.file() }),
  'Query.files': async () => ({ first: 100 }),
  'Query.files#ids': async ({ targets }) => ({ filter: { ids: [await targets.file()] } }),
  'Query.files#project': async ({ targets }) => ({
    filter: { projectId: (await targets.projectFile()).projectId },
  }),
  'Query.files#session': async ({ targets }) => ({ filter: { sessionId: await targets.fileSession() } }),
  'Mutation.uploadFiles': async () => ({ input: {} }),
  'Mutation.uploadFiles#project': async ({ targets }) => ({ input: { projectId: await targets.project() } }),
  'Mutation.linkFileToProject': async ({ targets }) => ({
    input: { fileId: await targets.file(), projectId: await targets.project() },
  }),
  'Mutation.unlinkFileFromProject': async ({ targets }) => {
    const { id, projectId } = await targets.projectFile();
    return { input: { fileId: id, projectId } };
  },
  'Mutation.deleteFile': async ({ targets }) => ({ input: { fileId: await targets.file() } }),
  'Mutation.createAgent#file': async ({ targets }) => ({ input: { name: fresh(), fileIds: [await targets.file()] } }),
  'Mutation.sendChatMessage#file': async ({ targets }) => ({
    input: { message: 'What is this?', fileIds: [await targets.file()] },
  }),
  'Mutation.createRateLimit': async () => ({ input: { subject: { scope: 'EACH_USER' }, ...limit } }),
  'Mutation.updateRateLimit': async ({ targets }) => ({
    input: { id: await targets.rateLimit(), enabled: false },
  }),
  'Mutation.deleteRateLimit': async ({ targets }) => ({ input: { id: await targets.rateLimit() } }),
  'Mutation.ingestDocument': async () => ({ input: { title: fresh(), sections: [{ text: 'Planted.' }] } }),
  'Mutation.deleteDocument': async ({ targets }) => ({ input: { documentId: (await targets.document()).externalId } }),
  'Subscription.chatTurn': async ({ targets }) => ({
    input: { sessionId: await targets.session(), message: 'What is this?' },
  }),
  'Subscription.chatTurn#agent': async ({ targets }) => ({
    input: { newSession: { agentId: await targets.agent() }, message: 'What is this?' },
  }),
  'Subscription.chatRun': async ({ targets }) => ({ run: { id: await targets.run() } }),
  'Query.agentBySlug': async ({ targets }) => ({ slug: (await targets.workspace()).slug }),
  'Mutation.updateAgent#slug': async ({ targets }) => ({
    input: { agent: { slug: (await targets.workspace()).slug }, refusalText: 'taken over' },
  }),
  'Mutation.changeAgentDocuments': async ({ targets }) => ({
    input: { agent: { id: await targets.agent() }, add: [{ location: (await targets.document()).location }] },
  }),
  'Mutation.changeAgentDocuments#id': async ({ targets }) => ({
    input: { agent: { id: await targets.agent() }, add: [{ id: (await targets.document()).externalId }] },
  }),
  'Mutation.pinAgentDocument': async ({ targets }) => {
    const { slug, location } = await targets.documented();
    return { input: { agent: { slug }, document: { location }, pinned: true } };
  },
  'Query.agentMembers': async ({ targets }) => ({ agent: { id: await targets.agent() } }),
  'Mutation.changeAgentMembers': async (scene) => ({
    input: { agent: { id: await scene.targets.agent() }, userIds: [(await person(scene)).databaseId] },
  }),
  'Mutation.createEmbed': async ({ targets }) => ({ input: { agent: { slug: (await targets.workspace()).slug } } }),
  'Mutation.updateEmbed': async ({ targets }) => ({
    input: { id: (await targets.embed()).uuid, enabled: false },
  }),
  'Mutation.deleteEmbed': async ({ targets }) => ({ input: { id: (await targets.embed()).uuid } }),
  'Query.embed': async ({ targets }) => ({ id: (await targets.embed()).uuid }),
  'Query.embedChats': async ({ targets }) => ({ filter: { embedId: (await targets.embed()).uuid } }),
  'Query.embedChat': async ({ targets }) => ofVisitorInput(await targets.embed()),
  'Mutation.deleteEmbedChat': async ({ targets }) => ({ input: ofVisitorInput(await targets.embed()) }),
  'Subscription.embedTurn': async ({ targets }) => ({
    input: { ...ofVisitorInput(await targets.embed()), message: 'Hello' },
  }),
  'Query.agentChat': async ({ targets }) => {
    const { agentSlug, slug } = await targets.thread();
    return { chat: { agent: { slug: agentSlug }, threadSlug: slug } };
  },
  'Mutation.startChatOver': async ({ targets }) => {
    const { agentSlug, slug } = await targets.thread();
    return { input: { agent: { slug: agentSlug }, threadSlug: slug } };
  },
  'Mutation.sendChatMessage#thread': async ({ targets }) => {
    const { agentSlug, slug } = await targets.thread();
    return { input: { chat: { agent: { slug: agentSlug }, threadSlug: slug }, message: 'What is this?' } };
  },
  'Mutation.createChatSession#slug': async ({ targets }) => ({
    input: { agentSlug: (await targets.workspace()).slug, slug: randomUUID() },
  }),
  'Query.search#slug': async ({ targets, word }) => ({
    query: word,
    agent: { slug: (await targets.workspace()).slug },
  }),
  'Query.documents#folder': async () => ({ filter: { folder: 'custom-documents' }, first: 100 }),
  'Query.document': async ({ targets }) => ({ id: (await targets.document()).externalId }),
  'Query.documentByLocation': async ({ targets }) => ({ location: (await targets.document()).location }),
  'Query.passagesOfAgent': async ({ targets }) => ({ agent: { slug: (await targets.workspace()).slug } }),
  'Mutation.addTextDocument': async () => ({ input: { text: 'Planted.', metadata: { title: fresh() } } }),
  'Mutation.uploadDocuments': async () => ({ input: { files: [planted()] } }),
  'Mutation.createDocumentFolder': async () => ({ input: { name: fresh() } }),
  'Mutation.deleteDocumentFolder': async ({ targets }) => ({ input: { name: await targets.folder() } }),
  'Mutation.deleteDocuments': async ({ targets }) => ({ input: { locations: [(await targets.document()).location] } }),
  'Mutation.moveDocuments': async ({ targets }) => ({
    input: {
      moves: [{ from: (await targets.document()).location, to: `custom-documents/${randomUUID()}.json` }],
    },
  }),
  'Query.invite': async () => ({ code: newSecret('INVITE') }),
  'Query.exportQueryHistory': async () => ({ format: 'CSV' }),
  'Query.exportQueryHistory#json': async () => ({ format: 'JSON' }),
  'Mutation.updateUser': async (scene) => ({
    input: { user: { id: (await person(scene)).id }, bio: 'taken over' },
  }),
  'Query.userCredentials#user': async (scene) => ({ filter: { userId: (await person(scene)).id } }),
  'Mutation.revokeUserCredential': async ({ targets, grant }) => ({
    input: { id: (await targets.personToken(grant.role)).id },
  }),
  'Mutation.revokeUserCredentials': async ({ targets, grant }) => ({
    input: { userId: (await targets.personToken(grant.role)).userId },
  }),
  'Mutation.disableInviteCode': async ({ targets }) => ({ input: { id: await targets.invite() } }),
  'Mutation.acceptInvite': async ({ targets }) => ({
    input: { code: await targets.inviteCode(), username: freshUsername(), password },
  }),
  'Mutation.updatePreferences': async () => ({ input: { appName: fresh() } }),
  'Query.completionModel': async ({ targets }) => ({ agent: { slug: (await targets.workspace()).slug } }),
  'Mutation.createChatCompletion': completion,
  'Subscription.chatCompletion': completion,
  'Mutation.createEmbeddings': async () => ({ input: { texts: ['a text'] } }),
  'Mutation.createImage': async () => ({ input: { prompt: 'a fox' } }),
};

/** An ID of each type that `node` returns, for the variants `Query.node#Type` and `Query.nodes#Type`. */
export const nodeSamples: Record<string, (scene: Scene) => Promise<string | number>> = {
  Agent: ({ targets }) => targets.agent(),
  // The built-in search action.
  Action: async () => 1,
  Label: async ({ targets }) => targets.label(),
  ChatSession: ({ targets }) => targets.session(),
  ChatMessage: ({ targets }) => targets.message(),
  ChatRun: ({ targets }) => targets.run(),
  QueryHistoryEntry: ({ targets }) => targets.historyEntry(),
  File: ({ targets }) => targets.file(),
  ChatFeedback: ({ targets }) => targets.feedback(),
  ApiKey: ({ targets, grant }) => targets.apiKey(grant),
  Project: ({ targets }) => targets.project(),
  ProjectToken: ({ targets }) => targets.projectToken(),
  RateLimit: ({ targets }) => targets.rateLimit(),
  PersonalAccessToken: ({ targets }) => targets.personalAccessToken(),
  Document: async ({ targets }) => (await targets.document()).id,
  // The first event, which exists since keys were created.
  AuditEvent: async () => 1,
  User: async (scene) => (await person(scene)).id,
  Invitation: async ({ targets }) => (await targets.invitation()).id,
  InviteCode: ({ targets }) => targets.invite(),
  Embed: async ({ targets }) => (await targets.embed()).id,
  CompletionModel: ({ targets }) => targets.agent(),
  EmbedExchange: async ({ targets }) => (await targets.embed()).answerId,
  UserCredential: async ({ targets, grant }) => (await targets.personToken(grant.role)).id,
};

for (const type of nodeTypes().keys()) {
  const idOf = async (scene: Scene) => encodeGlobalID(type, (await nodeSamples[type]?.(scene)) ?? 1);
  fieldSamples[`Query.node#${type}`] = async (scene) => ({ id: await idOf(scene) });
  fieldSamples[`Query.nodes#${type}`] = async (scene) => ({ ids: [await idOf(scene)] });
}

/** `node` requires a credential, and then the permissions of the type. */
export const variantRequirements = new Map<string, readonly Permission[]>(
  [...nodeTypes()].flatMap(([type, { permission, also = [] }]) => [
    [`Query.node#${type}`, [permission, ...also]],
    [`Query.nodes#${type}`, [permission, ...also]],
  ]),
);

/** Values of `{name}` in the path of an endpoint. */
export const pathParameters: Record<string, (scene: Scene) => Promise<string | number>> = {
  session_id: ({ targets }) => targets.session(),
  chat_session_id: ({ targets }) => targets.session(),
  persona_id: ({ targets }) => targets.agent(),
  api_key_id: ({ targets, grant }) => targets.apiKey(grant),
  token_id: ({ targets }) => targets.personalAccessToken(),
  user_id: async (scene) => (await person(scene)).id,
  project_id: ({ targets }) => targets.project(),
  token_rate_limit_id: ({ targets }) => targets.rateLimit(),
  // Keys of AnythingLLM's paths.
  id: ({ targets, grant }) => targets.apiKey(grant),
  // The group Basic and its limits.
  user_group_id: async () => 2,
  group_id: async () => 2,
  file_id: ({ targets }) => targets.file(),
  document_id: async ({ targets }) => (await targets.document()).externalId,
  // The built-in search action.
  tool_id: async () => 1,
  slug: async ({ targets }) => (await targets.workspace()).slug,
  workspaceSlug: async ({ targets }) => (await targets.workspace()).slug,
  workspaceId: ({ targets }) => targets.agent(),
  embedUuid: async ({ targets }) => (await targets.embed()).uuid,
  model: async ({ targets }) => (await targets.workspace()).slug,
  folderName: ({ targets }) => targets.folder(),
  docName: async ({ targets }) => (await targets.document()).location.replace(/^.*\//, ''),
  filename: async () => `pdf-${randomUUID()}.pdf`,
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
const userEmail: RowSample = async (scene) => ({ body: { user_email: (await person(scene)).email } });
const inactiveEmail: RowSample = async ({ targets, grant }) => ({
  body: { user_email: (await targets.deactivatedPerson(grant.role)).email },
});
const rateLimit: RowSample = async () => ({ body: { enabled: true, token_budget: 1_000_000, period_hours: 24 } });
const apiKey = ({ grant }: Scene) => ({ name: fresh(), role: grant.role.toLowerCase(), scopes: [grant.scope] });

const workspaceMessage: RowSample = async () => ({ body: { message: 'What is this?' } });
const thread =
  (body?: Record<string, unknown>): RowSample =>
  async ({ targets }) => {
    const { agentSlug, slug } = await targets.thread();
    return { params: { slug: agentSlug, threadSlug: slug }, ...(body && { body }) };
  };
const memberIds: RowSample = async (scene) => ({ body: { userIds: [(await person(scene)).databaseId] } });
const ofVisitor =
  (parameter: string): RowSample =>
  async ({ targets }) => {
    const { uuid, sessionId } = await targets.embed();
    return { params: { embedUuid: uuid, [parameter]: sessionId } };
  };
const chatCompletion =
  (stream: boolean): RowSample =>
  async ({ targets }) => ({
    body: {
      model: (await targets.workspace()).slug,
      messages: [{ role: 'user', content: 'What is this?' }],
      stream,
    },
  });

/**
 * Inputs by `METHOD /path`, and by `METHOD /path#variant`. An endpoint needs an entry when its body cannot be generated
 * from its schema (see `madeUpBody`), or when the generated body would not change data.
 */
export const rowSamples: Record<string, RowSample> = {
  'POST /admin/api-key': async (scene) => ({ body: apiKey(scene) }),
  'PATCH /admin/api-key/{api_key_id}': async (scene) => ({ body: apiKey(scene) }),
  'POST /user/pats': async ({ grant }) => ({ body: { name: fresh(), scopes: [grant.scope] } }),
  'POST /auth/register': async () => ({ body: { email: freshEmail(), password } }),
  'POST /password/reset_password': userEmail,
  'DELETE /manage/admin/users/{user_id}/tokens/{token_id}': async ({ targets, grant }) => {
    const { id, userId } = await targets.personToken(grant.role);
    return { params: { user_id: userId, token_id: id } };
  },
  'DELETE /manage/admin/users/{user_id}/tokens': async ({ targets, grant }) => ({
    params: { user_id: (await targets.personToken(grant.role)).userId },
  }),
  'PUT /manage/admin/users': async () => ({ body: { emails: [freshEmail()] } }),
  'PATCH /manage/admin/remove-invited-user': async ({ targets }) => ({
    body: { user_email: (await targets.invitation()).email },
  }),
  'PATCH /manage/admin/deactivate-user': userEmail,
  'PATCH /manage/admin/activate-user': inactiveEmail,
  'DELETE /manage/admin/delete-user': inactiveEmail,
  'PATCH /manage/set-user-role': async (scene) => ({
    body: { user_email: (await scene.targets.person('LIMITED')).email, new_role: 'basic' },
  }),
  'PATCH /manage/admin/users/admin-access': async (scene) => ({
    body: { user_email: (await scene.targets.person('LIMITED')).email, is_admin: true },
  }),
  'POST /user/projects/create': async () => ({ query: { name: fresh() } }),
  'PATCH /user/projects/{project_id}': async () => ({ body: { name: fresh(), description: 'taken over' } }),
  'POST /user/projects/{project_id}/instructions': async () => ({ body: { instructions: 'taken over' } }),
  'POST /user/projects/{project_id}/move_chat_session': async ({ targets }) => ({
    body: { chat_session_id: await targets.session() },
  }),
  'POST /user/projects/remove_chat_session': async ({ targets }) => ({
    body: { chat_session_id: await targets.projectSession() },
  }),
  'GET /chat/max-selected-document-tokens': async ({ targets }) => ({
    query: { persona_id: String(await targets.agent()) },
  }),
  'PUT /chat/update-chat-session-model': async ({ targets }) => ({
    body: { chat_session_id: await targets.session(), new_alternate_model: 'embedded-quotes' },
  }),
  'PUT /chat/update-chat-session-temperature': async ({ targets }) => ({
    body: { chat_session_id: await targets.session(), temperature_override: 1.5 },
  }),
  'PUT /chat/update-chat-session-reasoning': async ({ targets }) => ({
    body: { chat_session_id: await targets.session(), reasoning_effort_override: 'low' },
  }),
  'PUT /chat/set-message-as-latest': async ({ targets }) => ({ body: { message_id: (await targets.answer()).id } }),
  'PUT /chat/set-preferred-response': async ({ targets }) => {
    const { id, questionId } = await targets.answer();
    return { body: { user_message_id: questionId, preferred_response_id: id } };
  },
  'POST /chat/create-chat-message-feedback': async ({ targets }) => ({
    body: { chat_message_id: (await targets.answer()).id, is_positive: true },
  }),
  'DELETE /chat/remove-chat-message-feedback': async ({ targets }) => ({
    query: { chat_message_id: String(await targets.ratedAnswer()) },
  }),
  'GET /chat/chat-session/{session_id}/resume-stream': async ({ targets }) => ({
    params: { session_id: await targets.runningSession() },
  }),
  'POST /chat/seed-chat-session': async ({ targets }) => ({
    body: { persona_id: await targets.agent(), message: 'What is this?' },
  }),
  'POST /user/projects/file/statuses': async ({ targets }) => ({ body: { file_ids: [await targets.file()] } }),
  'GET /user/projects/session/{chat_session_id}/files': async ({ targets }) => ({
    params: { chat_session_id: await targets.fileSession() },
  }),
  'DELETE /user/projects/{project_id}/files/{file_id}': async ({ targets }) => {
    const { id, projectId } = await targets.projectFile();
    return { params: { file_id: id, project_id: projectId } };
  },
  'POST /chat/send-chat-message#file': async ({ targets }) => ({
    body: {
      message: 'What is this?',
      stream: false,
      file_descriptors: [{ id: await targets.file(), type: 'plain_text' }],
    },
  }),
  'POST /oauth/introspect': async () => ({ body: { token: newSecret('API_KEY') } }),
  'POST /admin/token-rate-limits/global': rateLimit,
  'POST /admin/token-rate-limits/users': rateLimit,
  'POST /admin/token-rate-limits/user-group/{group_id}': rateLimit,
  'PUT /admin/token-rate-limits/rate-limit/{token_rate_limit_id}': rateLimit,
  'PUT /admin/token-rate-limits/user-group/{group_id}/rate-limit/{token_rate_limit_id}': async ({ targets }) => ({
    params: { token_rate_limit_id: await targets.roleLimit() },
    body: { enabled: false, token_budget: 1_000_000, period_hours: 24 },
  }),
  'DELETE /admin/token-rate-limits/user-group/{group_id}/rate-limit/{token_rate_limit_id}': async ({ targets }) => ({
    params: { token_rate_limit_id: await targets.roleLimit() },
  }),
  'POST /system/enable-multi-user': async () => ({ body: { username: 'matrix', password } }),
  'POST /admin/generate-api-key': async (scene) => ({ body: apiKey(scene) }),
  'POST /system/generate-api-key': async (scene) => ({ body: apiKey(scene) }),
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
  'POST /v1/workspace/new': async () => ({ body: { name: fresh() } }),
  'POST /v1/workspace/{slug}/update': async () => ({ body: { openAiPrompt: 'taken over' } }),
  'POST /v1/workspace/{slug}/update-embeddings': async ({ targets }) => ({
    body: { adds: [(await targets.document()).location] },
  }),
  'POST /v1/workspace/{slug}/update-pin': async ({ targets }) => {
    const { slug, location } = await targets.documented();
    return { params: { slug }, body: { docPath: location, pinStatus: true } };
  },
  'POST /v1/admin/workspaces/{workspaceId}/update-users': memberIds,
  'POST /v1/admin/workspaces/{workspaceSlug}/manage-users': memberIds,
  'POST /v1/document/upload': async () => ({ body: { file: [planted()] } }),
  'POST /v1/document/upload/{folderName}': async () => ({ body: { file: [planted()] } }),
  'POST /v1/document/raw-text': async () => ({ body: { textContent: 'Planted.', metadata: { title: fresh() } } }),
  'POST /v1/document/create-folder': async () => ({ body: { name: fresh() } }),
  'DELETE /v1/document/remove-folder': async ({ targets }) => ({ body: { name: await targets.folder() } }),
  'POST /v1/document/move-files': async ({ targets }) => ({
    body: {
      files: [{ from: (await targets.document()).location, to: `custom-documents/${randomUUID()}.json` }],
    },
  }),
  'DELETE /v1/system/remove-documents': async ({ targets }) => ({
    body: { names: [(await targets.document()).location] },
  }),
  'POST /v1/workspace/{slug}/vector-search': async ({ word }) => ({ body: { query: word } }),
  'POST /v1/workspace/{slug}/chat': workspaceMessage,
  'POST /v1/workspace/{slug}/stream-chat': workspaceMessage,
  'POST /v1/workspace/{slug}/thread/new': async () => ({ body: { name: fresh() } }),
  'POST /v1/workspace/{slug}/thread/{threadSlug}/update': thread({ name: 'taken over' }),
  'DELETE /v1/workspace/{slug}/thread/{threadSlug}': thread(),
  'GET /v1/workspace/{slug}/thread/{threadSlug}/chats': thread(),
  'POST /v1/workspace/{slug}/thread/{threadSlug}/chat': thread({ message: 'What is this?' }),
  'POST /v1/workspace/{slug}/thread/{threadSlug}/stream-chat': thread({ message: 'What is this?' }),
  'POST /v1/admin/users/new': async () => ({ body: { username: freshUsername(), password } }),
  'POST /v1/admin/users/{id}': async (scene) => ({
    params: { id: (await person(scene)).databaseId },
    body: { bio: 'taken over' },
  }),
  'DELETE /v1/admin/users/{id}': async (scene) => ({ params: { id: (await person(scene)).databaseId } }),
  'DELETE /v1/admin/invite/{id}': async ({ targets }) => ({ params: { id: await targets.invite() } }),
  'POST /v1/admin/preferences': async () => ({ body: { custom_app_name: fresh() } }),
  'GET /v1/users/{id}/issue-auth-token': async (scene) => ({ params: { id: (await person(scene)).databaseId } }),
  'GET /invite/{code}': async () => ({ params: { code: newSecret('INVITE') } }),
  'POST /invite/{code}': async ({ targets }) => ({
    params: { code: await targets.inviteCode() },
    body: { username: freshUsername(), password },
  }),
  'POST /v1/embed/new': async ({ targets }) => ({ body: { workspace_slug: (await targets.workspace()).slug } }),
  'POST /v1/embed/{embedUuid}': async () => ({ body: { max_chats_per_day: 5 } }),
  'GET /v1/embed/{embedUuid}/chats/{sessionUuid}': ofVisitor('sessionUuid'),
  'POST /embed/{embedUuid}/stream-chat': async ({ targets }) => {
    const { uuid, sessionId } = await targets.embed();
    return { params: { embedUuid: uuid }, body: { sessionId, message: 'Hello' } };
  },
  'GET /embed/{embedUuid}/{sessionId}': ofVisitor('sessionId'),
  'DELETE /embed/{embedUuid}/{sessionId}': ofVisitor('sessionId'),
  'POST /v1/openai/chat/completions': chatCompletion(false),
  'POST /v1/openai/chat/completions#stream': chatCompletion(true),
  'POST /v1/openai/embeddings': async () => ({ body: { input: 'a text' } }),
  'POST /v1/openai/images/generations': async () => ({ body: { prompt: 'a fox' } }),
  'POST /onyx-api/ingestion': async () => ({
    body: { document: { semantic_identifier: fresh(), sections: [{ text: 'Planted.' }], metadata: {} } },
  }),
};

/** Operations that succeed without changing anything although their name suggests it, with the reason. */
export const changesNothing = new Map([
  ['Mutation.stopChatRun', 'the sample session is not answering'],
  ['POST /chat/stop-chat-session/{chat_session_id}', 'the sample session is not answering'],
]);

/** Operations that replace or end the credential of their caller; tested with login sessions. */
export const endsItsCaller: ReadonlySet<string> = new Set([
  'Mutation.logout',
  'Mutation.refreshSession',
  'Mutation.changePassword',
  'POST /auth/logout',
  'POST /auth/refresh',
  'POST /auth/mobile/logout',
  'POST /auth/mobile/refresh',
  'POST /password/change-password',
]);

/** Operations that are restricted to some holders of their permission, and to which. */
export const onlyFor: ReadonlyMap<string, (caller: Caller) => boolean> = new Map([
  // A project token can neither create another one nor revoke itself.
  ...[
    'Mutation.createProject',
    'Mutation.deleteProject',
    'POST /user/projects/create',
    'POST /user/projects/remove_chat_session',
    'DELETE /user/projects/{project_id}',
  ].map((name) => [name, ({ projectId }: Caller) => projectId === undefined] as const),
  // Operations for login sessions only.
  ...[...endsItsCaller].map((name) => [name, ({ session }: Caller) => session === true] as const),
  // The callers include people, so operations for a server without people are closed to all.
  ...[
    'Mutation.enableMultiUser',
    'POST /system/generate-api-key',
    'GET /system/api-keys',
    'DELETE /system/api-key/{id}',
  ].map((name) => [name, () => false] as const),
]);

/** Operations that no caller here can perform, and where they are tested. */
export const elsewhere: ReadonlyMap<string, string> = new Map([
  ['Mutation.login', 'asks for a password: src/modules/users/sessions.test.ts'],
  ['POST /auth/login', 'asks for a password: src/modules/users/sessions.test.ts'],
  ['POST /auth/mobile/login', 'asks for a password: src/modules/users/sessions.test.ts'],
  ['Mutation.requestToken', 'asks for a password: src/modules/users/single-user.test.ts'],
  ['POST /request-token', 'asks for a password: src/rest/anythingllm/keys.test.ts'],
  ['Mutation.enableMultiUser', 'without people: src/modules/users/single-user.test.ts'],
  ['POST /system/enable-multi-user', 'without people: src/rest/anythingllm/keys.test.ts'],
  ['POST /system/generate-api-key', 'without people: src/rest/anythingllm/keys.test.ts'],
  ['GET /system/api-keys', 'without people: src/rest/anythingllm/keys.test.ts'],
  ['DELETE /system/api-key/{id}', 'without people: src/rest/anythingllm/keys.test.ts'],
  ['Mutation.createEmbeddings', 'with an embedding model: src/modules/gateway/gateway.test.ts'],
  ['POST /v1/openai/embeddings', 'with an embedding model: src/rest/anythingllm/openai.test.ts'],
  ['Mutation.addLinkDocument', 'where a link may lead: src/modules/knowledge/intake.test.ts'],
  ['POST /v1/document/upload-link', 'where a link may lead: src/rest/anythingllm/documents.test.ts'],
  ['GET /v1/document/generated-files/{filename}', 'there are none: src/rest/anythingllm/documents.test.ts'],
  ['GET /v1/users/{id}/issue-auth-token', 'nobody is: src/rest/anythingllm/admin.test.ts'],
  ['Mutation.createImage', 'with an image model: src/modules/gateway/gateway.test.ts'],
  ['POST /v1/openai/images/generations', 'with an image model: src/rest/anythingllm/openai.test.ts'],
]);
