import type { Prisma } from '../generated/prisma/client.ts';
import { can, type Principal } from './principal.ts';

/** The kinds of tokens that act as a service account; each such user has exactly one of them. */
export const serviceAccountKinds = ['API_KEY', 'ANYTHINGLLM', 'PROJECT'] as const;

/**
 * Object rules as where-builders. Every read and every write goes through one of these, so that
 * "not there" and "not yours" are one code path and one answer.
 */
export const visible = {
  /**
   * Public and built-in agents, one's own, those shared with one; all of them for `manage:agents`. The user of a token
   * that is confined to a project has none of its own, and nobody shares with it.
   */
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

  /**
   * One's own sessions. A project's owner and its tokens see one another's chats in it, if they may read chats at all:
   * to go on with a chat is to read it. A confined token sees nothing outside of its project.
   */
  chatSessions: (principal: Principal): Prisma.ChatSessionWhereInput => {
    const { userId, credential } = principal;
    const reads = can(principal, 'read:chat');
    if (credential.projectId !== null)
      return { deletedAt: null, projectId: credential.projectId, ...(!reads && { userId }) };
    return reads
      ? { deletedAt: null, OR: [{ userId }, { project: { ownerId: userId } }] }
      : { deletedAt: null, userId };
  },

  chatMessages: (principal: Principal): Prisma.ChatMessageWhereInput => ({ session: visible.chatSessions(principal) }),

  /**
   * Public documents, one's own and those of one's own projects. For `manage:documents` all of them but the private ones
   * of other people's projects. For a token that is confined to a project, that project's and no others.
   */
  documents: (principal: Principal): Prisma.DocumentWhereInput => {
    const { userId, credential } = principal;
    if (credential.projectId !== null) return { projectId: credential.projectId };
    const own = [{ isPublic: true }, { ownerId: userId }, { project: { ownerId: userId } }];
    return { OR: can(principal, 'manage:documents') ? [{ projectId: null }, ...own] : own };
  },

  /** One's own projects; for a token that is confined to one, that one. */
  projects: (principal: Principal): Prisma.ProjectWhereInput =>
    principal.credential.projectId === null ? { ownerId: principal.userId } : { id: principal.credential.projectId },

  /** The keys that act as a user of their own, whatever their prefix. */
  apiKeys: (): Prisma.TokenWhereInput => ({ kind: { in: [...serviceAccountKinds] }, revokedAt: null }),

  /** The tokens of the projects that one may see. */
  projectTokens: (principal: Principal): Prisma.TokenWhereInput => ({
    kind: 'PROJECT',
    revokedAt: null,
    project: visible.projects(principal),
  }),

  /** One's own personal access tokens that still work. */
  personalAccessTokens: (principal: Principal, now = new Date()): Prisma.TokenWhereInput => ({
    kind: 'PERSONAL',
    userId: principal.userId,
    revokedAt: null,
    OR: [{ expiresAt: null }, { expiresAt: { gt: now } }],
  }),
} as const;
