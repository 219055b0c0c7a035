import { alternatives } from '../validation-messages.ts';
import { enumValues } from './enum-values.ts';

/**
 * The names of earlier versions of the schema, and the names that replace them. Both are schema coordinates: a type, a
 * field (`Type.field`) or an argument (`Type.field(argument:)`). CHANGELOG.md explains the changes.
 */
export const renames: Record<string, readonly [string, ...string[]]> = {
  // Types
  Account: ['User'],
  AccountConnection: ['UserConnection'],
  AccountEdge: ['UserEdge'],
  AccountFilter: ['UserFilter'],
  AddDocumentsPayload: ['UploadDocumentsPayload', 'AddTextDocumentPayload', 'AddLinkDocumentPayload'],
  AgentMembersInput: ['AgentLocatorInput'],
  AgentPayload: [
    'CreateAgentPayload',
    'UpdateAgentPayload',
    'CurateAgentPayload',
    'UndeleteAgentPayload',
    'ShareAgentPayload',
    'ChangeAgentDocumentsPayload',
    'PinAgentDocumentPayload',
  ],
  AgentReferenceInput: ['AgentLocatorInput', 'DeleteAgentInput', 'UndeleteAgentInput'],
  ApiKeyWithSecret: ['CreateApiKeyPayload', 'RegenerateApiKeyPayload'],
  ChatSearchResult: ['ChatSessionConnection'],
  DocumentFolderPayload: ['CreateDocumentFolderPayload'],
  FilePayload: ['LinkFileToProjectPayload', 'UnlinkFileFromProjectPayload'],
  LabelPayload: ['CreateLabelPayload'],
  LinkFileInput: ['LinkFileToProjectInput', 'UnlinkFileFromProjectInput'],
  ProjectPayload: ['CreateProjectPayload', 'UpdateProjectPayload'],
  ProjectTokenWithSecret: ['CreateProjectTokenPayload', 'RegenerateProjectTokenPayload'],
  // Arguments
  'Query.agent(databaseId:)': ['Query.agent(id:)'],
  'Query.agent(slug:)': ['Query.agentBySlug(slug:)'],
  'Query.agentChat(agentSlug:)': ['ChatReferenceInput.agent'],
  'Query.agentChat(clientSessionId:)': ['ChatReferenceInput.clientSessionId'],
  'Query.agentChat(threadSlug:)': ['ChatReferenceInput.threadSlug'],
  'Query.agentMembers(input:)': ['Query.agentMembers(agent:)'],
  'Query.apiKeys(kinds:)': ['ApiKeyFilter.kinds'],
  'Query.availableContextTokens(agentId:)': ['ContextTokensTarget.agentId'],
  'Query.availableContextTokens(sessionId:)': ['ContextTokensTarget.sessionId'],
  'Query.chatSessions(agentId:)': ['ChatSessionFilter.agentId'],
  'Query.chatSessions(includeFailed:)': ['ChatSessionFilter.includeFailed'],
  'Query.chatSessions(outsideProjects:)': ['ChatSessionFilter.outsideProjects'],
  'Query.chatSessions(projectId:)': ['ChatSessionFilter.projectId'],
  'Query.completionModel(id:)': ['Query.completionModel(agent:)'],
  'Query.document(location:)': ['Query.documentByLocation(location:)'],
  'Query.documents(filesIncluded:)': ['DocumentFilter.filesIncluded'],
  'Query.documents(folder:)': ['DocumentFilter.folder'],
  'Query.documents(origins:)': ['DocumentFilter.origins'],
  'Query.embed(uuid:)': ['Query.embed(id:)'],
  'Query.embedChat(sessionId:)': ['Query.embedChat(clientSessionId:)'],
  'Query.embedChats(sessionId:)': ['EmbedExchangeFilter.clientSessionId'],
  'Query.embedChats(uuid:)': ['EmbedExchangeFilter.embedId'],
  'Query.feedback(rating:)': ['ChatFeedbackFilter.rating'],
  'Query.feedback(since:)': ['ChatFeedbackFilter.createdSince'],
  'Query.feedback(until:)': ['ChatFeedbackFilter.createdBefore'],
  'Query.files(ids:)': ['FileFilter.ids'],
  'Query.files(projectId:)': ['FileFilter.projectId'],
  'Query.files(sessionId:)': ['FileFilter.sessionId'],
  'Query.invitations(query:)': ['InvitationFilter.search'],
  'Query.passagesOfAgent(slug:)': ['Query.passagesOfAgent(agent:)'],
  'Query.project(databaseId:)': ['Query.project(id:)'],
  'Query.projectTokens(projectId:)': ['ProjectTokenFilter.projectId'],
  'Query.queryHistory(agentId:)': ['QueryHistoryFilter.agentId'],
  'Query.queryHistory(userId:)': ['QueryHistoryFilter.userId'],
  'Query.queryHistory(visitors:)': ['QueryHistoryFilter.visitors'],
  'Query.search(agentId:)': ['Query.search(agent:)'],
  'Query.search(agentSlug:)': ['Query.search(agent:)'],
  'Query.users(includeServiceAccounts:)': ['UserFilter.accountTypes'],
  'Query.users(query:)': ['UserFilter.search'],
  'Subscription.chatRun(runId:)': ['ChatRunLocatorInput.id'],
  'Subscription.chatRun(sessionId:)': ['ChatRunLocatorInput.sessionId'],
  // Fields of objects
  'AcceptInvitePayload.account': ['AcceptInvitePayload.user'],
  'ActivateUserPayload.account': ['ActivateUserPayload.user'],
  'AgentShare.account': ['AgentShare.user'],
  'ApiKey.creator': ['ApiKey.createdBy'],
  'ApiKey.creatorAccount': ['ApiKey.createdBy'],
  'ApiKey.projectId': ['ApiKey.projectDatabaseId'],
  'ApiKey.userId': ['ApiKey.user'],
  'AuditEvent.actorId': ['AuditEvent.actorDatabaseId'],
  'AuditEvent.tokenId': ['AuditEvent.tokenDatabaseId'],
  'ChangePasswordPayload.account': ['ChangePasswordPayload.user'],
  'ChangeUserRolePayload.account': ['ChangeUserRolePayload.user'],
  'ChatSession.currentRunId': ['ChatSession.currentRun'],
  'CreateChatSessionPayload.chatSession': ['CreateChatSessionPayload.session'],
  'CreateUserPayload.account': ['CreateUserPayload.user'],
  'DeactivateUserPayload.account': ['DeactivateUserPayload.user'],
  'DeleteApiKeyPayload.deletedDatabaseId': ['DeleteApiKeyPayload.deletedApiKeyId'],
  'DeleteChatSessionPayload.deletedSessionId': ['DeleteChatSessionPayload.deletedChatSessionId'],
  'DeleteEmbedPayload.deletedUuid': ['DeleteEmbedPayload.deletedEmbedId'],
  'DeleteProjectPayload.deletedDatabaseId': ['DeleteProjectPayload.deletedProjectId'],
  'DeleteProjectTokenPayload.deletedDatabaseId': ['DeleteProjectTokenPayload.deletedProjectTokenId'],
  'DeleteRateLimitPayload.deletedDatabaseId': ['DeleteRateLimitPayload.deletedRateLimitId'],
  'Embed.agentId': ['Embed.agentDatabaseId'],
  'EmbedExchange.embedId': ['EmbedExchange.embed'],
  'EmbedExchange.sessionId': ['EmbedExchange.clientSessionId'],
  'EnableMultiUserPayload.account': ['EnableMultiUserPayload.user'],
  'InviteCode.agentIds': ['InviteCode.agentDatabaseIds'],
  'LogoutPayload.endedDatabaseId': ['LogoutPayload.endedUserCredentialId'],
  'MoveChatSessionPayload.chatSession': ['MoveChatSessionPayload.session'],
  'ProjectToken.creator': ['ProjectToken.createdBy'],
  'ProjectToken.projectId': ['ProjectToken.projectDatabaseId'],
  'ProjectToken.userId': ['ProjectToken.user'],
  'Query.accounts': ['Query.allUsers'],
  'Query.searchChats': ['Query.chatSessions'],
  'RateLimit.tokenId': ['RateLimit.tokenDatabaseId'],
  'RateLimit.userId': ['RateLimit.userDatabaseId'],
  'RegisterPayload.account': ['RegisterPayload.user'],
  'RemoveInvitationPayload.removedEmail': ['RemoveInvitationPayload.deletedInvitationId'],
  'ResetUserPasswordPayload.account': ['ResetUserPasswordPayload.user'],
  'SelectChatBranchPayload.chatSession': ['SelectChatBranchPayload.session'],
  'ServiceAccountKey.creator': ['ServiceAccountKey.createdBy'],
  'ServiceAccountKey.userId': ['ServiceAccountKey.user'],
  'TokenIntrospection.projectId': ['TokenIntrospection.projectDatabaseId'],
  'TokenIntrospection.userId': ['TokenIntrospection.userDatabaseId'],
  'UpdateChatSessionPayload.chatSession': ['UpdateChatSessionPayload.session'],
  'UpdateUserPayload.account': ['UpdateUserPayload.user'],
  'UsageRecord.tokenId': ['UsageRecord.tokenDatabaseId'],
  'UsageRecord.userId': ['UsageRecord.userDatabaseId'],
  'Viewer.accountType': ['User.accountType'],
  'Viewer.email': ['User.email'],
  'Viewer.id': ['User.databaseId'],
  'Viewer.name': ['User.name'],
  'Viewer.passwordConfigured': ['User.passwordConfigured'],
  'ViewerToken.projectId': ['ViewerToken.projectDatabaseId'],
  // Fields of inputs
  'ActivateUserInput.databaseId': ['ActivateUserInput.user'],
  'ActivateUserInput.email': ['ActivateUserInput.user'],
  'ActivateUserInput.userId': ['ActivateUserInput.user'],
  'AgentFilter.databaseIds': ['AgentFilter.ids'],
  'ChangeAgentDocumentsInput.databaseId': ['ChangeAgentDocumentsInput.agent'],
  'ChangeAgentDocumentsInput.id': ['ChangeAgentDocumentsInput.agent'],
  'ChangeAgentDocumentsInput.slug': ['ChangeAgentDocumentsInput.agent'],
  'ChangeAgentMembersInput.databaseId': ['ChangeAgentMembersInput.agent'],
  'ChangeAgentMembersInput.id': ['ChangeAgentMembersInput.agent'],
  'ChangeAgentMembersInput.slug': ['ChangeAgentMembersInput.agent'],
  'ChangeAgentMembersInput.userDatabaseIds': ['ChangeAgentMembersInput.userIds'],
  'ChangeUserRoleInput.databaseId': ['ChangeUserRoleInput.user'],
  'ChangeUserRoleInput.email': ['ChangeUserRoleInput.user'],
  'ChangeUserRoleInput.userId': ['ChangeUserRoleInput.user'],
  'ChatReferenceInput.agentSlug': ['ChatReferenceInput.agent'],
  'CreateEmbedInput.agentSlug': ['CreateEmbedInput.agent'],
  'CreateRateLimitInput.role': ['RateLimitSubjectInput.role'],
  'CreateRateLimitInput.scope': ['RateLimitSubjectInput.scope'],
  'CreateRateLimitInput.tokenId': ['RateLimitSubjectInput.tokenId'],
  'CreateRateLimitInput.userId': ['RateLimitSubjectInput.userId'],
  'CurateAgentInput.databaseId': ['CurateAgentInput.agent'],
  'CurateAgentInput.id': ['CurateAgentInput.agent'],
  'CurateAgentInput.slug': ['CurateAgentInput.agent'],
  'DeactivateUserInput.databaseId': ['DeactivateUserInput.user'],
  'DeactivateUserInput.email': ['DeactivateUserInput.user'],
  'DeactivateUserInput.userId': ['DeactivateUserInput.user'],
  'DeleteApiKeyInput.databaseId': ['DeleteApiKeyInput.id'],
  'DeleteChatSessionInput.chat': ['DeleteChatSessionInput.session'],
  'DeleteChatSessionInput.sessionId': ['DeleteChatSessionInput.session'],
  'DeleteEmbedChatInput.sessionId': ['DeleteEmbedChatInput.clientSessionId'],
  'DeleteEmbedInput.uuid': ['DeleteEmbedInput.id'],
  'DeleteProjectInput.databaseId': ['DeleteProjectInput.id'],
  'DeleteRateLimitInput.databaseId': ['DeleteRateLimitInput.id'],
  'DeleteUserInput.databaseId': ['DeleteUserInput.user'],
  'DeleteUserInput.email': ['DeleteUserInput.user'],
  'DeleteUserInput.userId': ['DeleteUserInput.user'],
  'DisableInviteCodeInput.databaseId': ['DisableInviteCodeInput.id'],
  'EmbedTurnInput.sessionId': ['EmbedTurnInput.clientSessionId'],
  'PinAgentDocumentInput.databaseId': ['PinAgentDocumentInput.agent'],
  'PinAgentDocumentInput.id': ['PinAgentDocumentInput.agent'],
  'PinAgentDocumentInput.location': ['PinAgentDocumentInput.document'],
  'PinAgentDocumentInput.slug': ['PinAgentDocumentInput.agent'],
  'RegenerateApiKeyInput.databaseId': ['RegenerateApiKeyInput.id'],
  'ResetUserPasswordInput.databaseId': ['ResetUserPasswordInput.user'],
  'ResetUserPasswordInput.email': ['ResetUserPasswordInput.user'],
  'ResetUserPasswordInput.userId': ['ResetUserPasswordInput.user'],
  'RevokePersonalAccessTokenInput.databaseId': ['RevokePersonalAccessTokenInput.id'],
  'SendChatMessageInput.parentMessageId': ['SendChatMessageInput.parent'],
  'ShareAgentInput.databaseId': ['ShareAgentInput.agent'],
  'ShareAgentInput.id': ['ShareAgentInput.agent'],
  'ShareAgentInput.slug': ['ShareAgentInput.agent'],
  'UpdateAgentInput.databaseId': ['UpdateAgentInput.agent'],
  'UpdateAgentInput.id': ['UpdateAgentInput.agent'],
  'UpdateAgentInput.slug': ['UpdateAgentInput.agent'],
  'UpdateApiKeyInput.databaseId': ['UpdateApiKeyInput.id'],
  'UpdateChatSessionInput.chat': ['UpdateChatSessionInput.session'],
  'UpdateChatSessionInput.sessionId': ['UpdateChatSessionInput.session'],
  'UpdateEmbedInput.agentDatabaseId': ['UpdateEmbedInput.agent'],
  'UpdateEmbedInput.agentSlug': ['UpdateEmbedInput.agent'],
  'UpdateEmbedInput.uuid': ['UpdateEmbedInput.id'],
  'UpdateProjectInput.databaseId': ['UpdateProjectInput.id'],
  'UpdateRateLimitInput.databaseId': ['UpdateRateLimitInput.id'],
  'UpdateUserInput.databaseId': ['UpdateUserInput.user'],
  'UpdateUserInput.email': ['UpdateUserInput.user'],
  'UpdateUserInput.userId': ['UpdateUserInput.user'],
};

/**
 * Enums whose values were texts in earlier versions: `write:chat` is now `WRITE_CHAT`, and `api_key.create` is now
 * `API_KEY_CREATE`.
 */
export const formerTexts: readonly string[] = ['Permission', 'AuditAction'];

const parentOf = (coordinate: string): string => coordinate.slice(0, coordinate.search(/[.(](?!.*[.(])/) + 1);

/** Returns the name that an error states: the bare name when only the last part of the coordinate changed. */
function nameOf(coordinate: string, former: string): string {
  const parent = parentOf(coordinate);
  return parent === parentOf(former) ? coordinate.slice(parent.length).replace(':)', '') : coordinate;
}

const sentence = (names: readonly string[]): string =>
  ` It was renamed to ${alternatives(names.map((name) => `"${name}"`))}.`;

/** Returns the sentence about the new name of a coordinate, or null when it was not renamed. */
function renaming(former: string): string | null {
  const names = Object.hasOwn(renames, former) && renames[former];
  return names ? sentence(names.map((name) => nameOf(name, former))) : null;
}

/** Returns the sentence about the new name of a value of an enum, or null when the value was not renamed. */
export function renamedValue(type: string, value: string): string | null {
  const name = value.replaceAll(/\W/g, '_').toUpperCase();
  return formerTexts.includes(type) && name !== value && enumValues.get(type)?.includes(name) ? sentence([name]) : null;
}

/** A message of graphql-js about an unknown name, and the sentence about its new name. */
const unknownNames: [pattern: RegExp, renamed: (...names: string[]) => string | null][] = [
  [/^Cannot query field "(\w+)" on type "(\w+)"\./, (field, type) => renaming(`${type}.${field}`)],
  [/^Unknown argument "(\w+)" on field "(\w+\.\w+)"\./, (argument, field) => renaming(`${field}(${argument}:)`)],
  [/^Unknown type "(\w+)"\./, (type = '') => renaming(type)],
  [/^Field "(\w+)" is not defined by type "(\w+)"\./, (field, type) => renaming(`${type}.${field}`)],
  [/^Enum "(\w+)" cannot represent non-enum value: "([^"]*)"\./, (type = '', value = '') => renamedValue(type, value)],
  [/^Value "([^"]*)" does not exist in "(\w+)" enum\./, (value = '', type = '') => renamedValue(type, value)],
];

/**
 * Adds the new name to a message of graphql-js about a name of an earlier version of the schema, in place of the
 * suggestions. Returns other messages unchanged.
 */
export function withNewName(message: string): string {
  for (const [pattern, renamed] of unknownNames) {
    const [found, ...names] = pattern.exec(message) ?? [];
    if (found !== undefined) return found + (renamed(...names) ?? message.slice(found.length));
  }
  return message;
}
