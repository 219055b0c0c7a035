import type { Prisma } from '../generated/prisma/client.ts';
import { can, type Principal } from './principal.ts';

/**
 * Object rules as where-builders. Every read and every write goes through one of these, so that
 * "not there" and "not yours" are one code path and one answer.
 */
export const visible = {
  /** Public and built-in agents, one's own, those shared with one; all of them for `manage:agents`. */
  agents: (principal: Principal): Prisma.AgentWhereInput =>
    can(principal, 'manage:agents')
      ? {}
      : {
          OR: [
            { isPublic: true },
            { isBuiltin: true },
            { ownerId: principal.userId },
            { shares: { some: { userId: principal.userId } } },
          ],
        },

  /** One's own agents and those shared with one for editing; all of them for `manage:agents`. */
  editableAgents: (principal: Principal): Prisma.AgentWhereInput =>
    can(principal, 'manage:agents')
      ? {}
      : {
          isBuiltin: false,
          OR: [{ ownerId: principal.userId }, { shares: { some: { userId: principal.userId, permission: 'EDITOR' } } }],
        },

  /** Whom one may share with, delete or publish: owners and `manage:agents`; an editor is neither. */
  ownedAgents: (principal: Principal): Prisma.AgentWhereInput =>
    can(principal, 'manage:agents') ? {} : { isBuiltin: false, ownerId: principal.userId },

  chatSessions: (principal: Principal): Prisma.ChatSessionWhereInput => ({ userId: principal.userId, deletedAt: null }),

  chatMessages: (principal: Principal): Prisma.ChatMessageWhereInput => ({ session: visible.chatSessions(principal) }),

  /** Public documents and one's own; all of them for `manage:documents`. */
  documents: (principal: Principal): Prisma.DocumentWhereInput =>
    can(principal, 'manage:documents') ? {} : { OR: [{ isPublic: true }, { ownerId: principal.userId }] },

  apiKeys: (): Prisma.TokenWhereInput => ({ kind: 'API_KEY', revokedAt: null }),

  /** One's own personal access tokens that still work. */
  personalAccessTokens: (principal: Principal, now = new Date()): Prisma.TokenWhereInput => ({
    kind: 'PERSONAL',
    userId: principal.userId,
    revokedAt: null,
    OR: [{ expiresAt: null }, { expiresAt: { gt: now } }],
  }),
} as const;
