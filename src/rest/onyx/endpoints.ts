import type { AnyEndpoint } from '../endpoint.ts';
import { agentEndpoints } from './agents.ts';
import { authEndpoints } from './auth.ts';
import { chatEndpoints } from './chat.ts';
import { messageEndpoints } from './chat-messages.ts';
import { chatSettingEndpoints } from './chat-settings.ts';
import { turnEndpoints } from './chat-turns.ts';
import { fileEndpoints } from './files.ts';
import { groupEndpoints } from './groups.ts';
import { ingestionEndpoints } from './ingestion.ts';
import { limitEndpoints } from './limits.ts';
import { projectEndpoints } from './projects.ts';
import { tokenEndpoints } from './tokens.ts';
import { toolEndpoints } from './tools.ts';
import { userEndpoints } from './users.ts';

/**
 * The endpoints of Onyx clients in the order of the documentation. A fixed path comes before a path with a parameter.
 */
export const onyxEndpoints: readonly AnyEndpoint[] = [
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
];
