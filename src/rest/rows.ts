import { adminRows } from './anythingllm/admin.ts';
import { chatRows as workspaceChatRows } from './anythingllm/chats.ts';
import { documentFolderRows } from './anythingllm/document-folders.ts';
import { documentRows } from './anythingllm/documents.ts';
import { embedRows } from './anythingllm/embeds.ts';
import { exportRows } from './anythingllm/exports.ts';
import { inviteRows } from './anythingllm/invites.ts';
import { keyRows } from './anythingllm/keys.ts';
import { memberRows } from './anythingllm/members.ts';
import { openaiRows } from './anythingllm/openai.ts';
import { sessionRows } from './anythingllm/session.ts';
import { systemRows } from './anythingllm/system.ts';
import { threadRows } from './anythingllm/threads.ts';
import { userManagementRows } from './anythingllm/users.ts';
import { vectorSearchRows } from './anythingllm/vector-search.ts';
import { widgetRows } from './anythingllm/widget.ts';
import { workspaceRows } from './anythingllm/workspaces.ts';
import { oauthRows } from './oauth.ts';
import { agentRows } from './onyx/agents.ts';
import { authRows } from './onyx/auth.ts';
import { chatRows } from './onyx/chat.ts';
import { messageRows } from './onyx/chat-messages.ts';
import { chatSettingRows } from './onyx/chat-settings.ts';
import { turnRows } from './onyx/chat-turns.ts';
import { fileRows } from './onyx/files.ts';
import { groupRows } from './onyx/groups.ts';
import { ingestionRows } from './onyx/ingestion.ts';
import { limitRows } from './onyx/limits.ts';
import { projectRows } from './onyx/projects.ts';
import { tokenRows } from './onyx/tokens.ts';
import { toolRows } from './onyx/tools.ts';
import { userRows } from './onyx/users.ts';
import type { AnyRow } from './row.ts';

/** All endpoints in the order of the documentation. A fixed path comes before a path with a parameter. */
export const rows: readonly AnyRow[] = [
  ...authRows,
  ...userRows,
  ...groupRows,
  ...tokenRows,
  ...agentRows,
  ...toolRows,
  ...chatRows,
  ...chatSettingRows,
  ...messageRows,
  ...turnRows,
  ...fileRows,
  ...projectRows,
  ...ingestionRows,
  ...limitRows,
  ...sessionRows,
  ...keyRows,
  ...documentRows,
  ...documentFolderRows,
  ...vectorSearchRows,
  ...workspaceChatRows,
  ...threadRows,
  ...workspaceRows,
  ...memberRows,
  ...adminRows,
  ...inviteRows,
  ...userManagementRows,
  ...systemRows,
  ...exportRows,
  ...embedRows,
  ...widgetRows,
  ...openaiRows,
  ...oauthRows,
];
