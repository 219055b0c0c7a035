import { keyRows } from './anythingllm/keys.ts';
import { sessionRows } from './anythingllm/session.ts';
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

/** Every operation of the REST layer, in the order of the documentation. A path that is fixed stands before one with a parameter. */
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
  ...oauthRows,
];
