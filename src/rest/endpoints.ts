import { adminEndpoints } from './anythingllm/admin.ts';
import { chatEndpoints as workspaceChatRows } from './anythingllm/chats.ts';
import { documentFolderEndpoints } from './anythingllm/document-folders.ts';
import { documentEndpoints } from './anythingllm/documents.ts';
import { embedEndpoints } from './anythingllm/embeds.ts';
import { exportEndpoints } from './anythingllm/exports.ts';
import { inviteEndpoints } from './anythingllm/invites.ts';
import { keyEndpoints } from './anythingllm/keys.ts';
import { memberEndpoints } from './anythingllm/members.ts';
import { openaiEndpoints } from './anythingllm/openai.ts';
import { sessionEndpoints } from './anythingllm/session.ts';
import { systemEndpoints } from './anythingllm/system.ts';
import { threadEndpoints } from './anythingllm/threads.ts';
import { userManagementEndpoints } from './anythingllm/users.ts';
import { vectorSearchEndpoints } from './anythingllm/vector-search.ts';
import { widgetEndpoints } from './anythingllm/widget.ts';
import { workspaceEndpoints } from './anythingllm/workspaces.ts';
import type { AnyEndpoint } from './endpoint.ts';
import { oauthEndpoints } from './oauth.ts';
import { agentEndpoints } from './onyx/agents.ts';
import { authEndpoints } from './onyx/auth.ts';
import { chatEndpoints } from './onyx/chat.ts';
import { messageEndpoints } from './onyx/chat-messages.ts';
import { chatSettingEndpoints } from './onyx/chat-settings.ts';
import { turnEndpoints } from './onyx/chat-turns.ts';
import { fileEndpoints } from './onyx/files.ts';
import { groupEndpoints } from './onyx/groups.ts';
import { ingestionEndpoints } from './onyx/ingestion.ts';
import { limitEndpoints } from './onyx/limits.ts';
import { projectEndpoints } from './onyx/projects.ts';
import { tokenEndpoints } from './onyx/tokens.ts';
import { toolEndpoints } from './onyx/tools.ts';
import { userEndpoints } from './onyx/users.ts';

/** All endpoints in the order of the documentation. A fixed path comes before a path with a parameter. */
export const endpoints: readonly AnyEndpoint[] = [
  ...authEndpoints,
  ...userEndpoints,
  ...groupEndpoints,
  ...tokenEndpoints,
  ...agentEndpoints,
  ...toolEndpoints,
  ...chatEndpoints,
  ...chatSettingEndpoints,
  ...messageEndpoints,
  ...turnEndpoints,
  ...fileEndpoints,
  ...projectEndpoints,
  ...ingestionEndpoints,
  ...limitEndpoints,
  ...sessionEndpoints,
  ...keyEndpoints,
  ...documentEndpoints,
  ...documentFolderEndpoints,
  ...vectorSearchEndpoints,
  ...workspaceChatRows,
  ...threadEndpoints,
  ...workspaceEndpoints,
  ...memberEndpoints,
  ...adminEndpoints,
  ...inviteEndpoints,
  ...userManagementEndpoints,
  ...systemEndpoints,
  ...exportEndpoints,
  ...embedEndpoints,
  ...widgetEndpoints,
  ...openaiEndpoints,
  ...oauthEndpoints,
];
