import type { AnyEndpoint } from '../endpoint.ts';
import { chatEndpoints } from './chats.ts';
import { memberEndpoints } from './members.ts';
import { threadEndpoints } from './threads.ts';
import { workspaceEndpoints } from './workspaces.ts';

/** The endpoints for workspaces, their chats, threads and members. */
export const allWorkspaceEndpoints: readonly AnyEndpoint[] = [
  ...chatEndpoints,
  ...threadEndpoints,
  ...workspaceEndpoints,
  ...memberEndpoints,
];
