/**
 * The id of the built-in agent on these paths. Its own id is 0, which clients treat as no workspace at all. No other
 * agent has this one: it is the last that the database can give.
 */
const builtinWorkspaceId = 0x7fff_ffff;

export const workspaceIdOf = (agentId: number): number => (agentId === 0 ? builtinWorkspaceId : agentId);

export const agentIdOf = (workspaceId: number): number => (workspaceId === builtinWorkspaceId ? 0 : workspaceId);
