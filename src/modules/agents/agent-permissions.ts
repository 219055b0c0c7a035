import { can, type Principal } from '../../authz/principal.ts';
import type { Agent } from '../../generated/prisma/client.ts';

export type AgentPermission = 'OWNER' | 'EDITOR' | 'VIEWER';

/** An operation on an agent. */
export type AgentOperation = 'EDIT' | 'SHARE' | 'DELETE' | 'CURATE';

/** Returns the permission of a principal for an agent. `share` is the principal's share, if any. */
export function agentPermission(
  principal: Principal,
  { ownerId }: Pick<Agent, 'ownerId'>,
  share: AgentPermission | undefined,
): AgentPermission {
  return can(principal, 'manage:agents') || ownerId === principal.userId ? 'OWNER' : (share ?? 'VIEWER');
}

/**
 * Returns the operations that a credential can perform on an agent: the rules of `visible` and the permission of each
 * mutation.
 */
export function agentOperations(
  principal: Principal,
  agent: Pick<Agent, 'ownerId' | 'isBuiltin' | 'deletedAt'>,
  share: AgentPermission | undefined,
): AgentOperation[] {
  if (agent.deletedAt) return [];
  const manages = can(principal, 'manage:agents');
  const held = agent.isBuiltin && !manages ? 'VIEWER' : agentPermission(principal, agent, share);
  const writes = can(principal, 'write:agents');
  return [
    ...(writes && held !== 'VIEWER' ? (['EDIT'] as const) : []),
    ...(writes && held === 'OWNER' ? (['SHARE'] as const) : []),
    ...(writes && held === 'OWNER' && !agent.isBuiltin ? (['DELETE'] as const) : []),
    ...(manages ? (['CURATE'] as const) : []),
  ];
}
