/**
 * The ID of the built-in agent on these paths. Its database ID is 0, which clients interpret as "no workspace". This
 * value is the largest ID that the database can assign, so no other agent has it.
 */
const builtinWorkspaceId = 0x7fff_ffff;

export const workspaceIdOf = (agentId: number): number => (agentId === 0 ? builtinWorkspaceId : agentId);

export const agentIdOf = (workspaceId: number): number => (workspaceId === builtinWorkspaceId ? 0 : workspaceId);
