import type { AnyEndpoint } from '../endpoint.ts';
import { adminEndpoints } from './admin.ts';
import { allDocumentEndpoints } from './document-endpoints.ts';
import { embedEndpoints } from './embeds.ts';
import { exportEndpoints } from './exports.ts';
import { inviteEndpoints } from './invites.ts';
import { keyEndpoints } from './keys.ts';
import { openaiEndpoints } from './openai.ts';
import { sessionEndpoints } from './session.ts';
import { systemEndpoints } from './system.ts';
import { userManagementEndpoints } from './users.ts';
import { widgetEndpoints } from './widget.ts';
import { allWorkspaceEndpoints } from './workspace-endpoints.ts';

/**
 * The endpoints of AnythingLLM clients in the order of the documentation. A fixed path comes before a path with a parameter.
 */
export const anythingllmEndpoints: readonly AnyEndpoint[] = [
  ...sessionEndpoints,
  ...keyEndpoints,
  ...allDocumentEndpoints,
  ...allWorkspaceEndpoints,
  ...adminEndpoints,
  ...inviteEndpoints,
  ...userManagementEndpoints,
  ...systemEndpoints,
  ...exportEndpoints,
  ...embedEndpoints,
  ...widgetEndpoints,
  ...openaiEndpoints,
];
