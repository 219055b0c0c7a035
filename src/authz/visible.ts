import type { Prisma } from '../generated/prisma/client.ts';
import { rolePermissions, roles } from './permissions.ts';
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

  /** Of these, those that a chat can be had with, and that give it their files. */
  usableAgents: (principal: Principal): Prisma.AgentWhereInput => ({
    AND: [visible.agents(principal), { deletedAt: null }],
  }),

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

  /** Those that one looks after. A project's owner: all of its chats; its tokens go on with them, and look after their own. */
  ownChatSessions: (principal: Principal): Prisma.ChatSessionWhereInput => ({
    AND: [visible.chatSessions(principal), principal.credential.projectId === null ? {} : { userId: principal.userId }],
  }),

  chatMessages: (principal: Principal): Prisma.ChatMessageWhereInput => ({ session: visible.chatSessions(principal) }),

  /** For `read:query_history`: everybody's, as long as the session is there. */
  feedback: (): Prisma.FeedbackWhereInput => ({ message: { session: { deletedAt: null } } }),

  /**
   * Public documents, one's own, those of one's own projects, and those of the files that were given to an agent one may
   * use. For `manage:documents` all of them but the private ones of other people's projects and files. For a token that
   * is confined to a project, that project's and no others.
   */
  documents: (principal: Principal): Prisma.DocumentWhereInput => {
    const { userId, credential } = principal;
    if (credential.projectId !== null)
      return {
        OR: [{ projectId: credential.projectId }, { file: { projects: { some: { id: credential.projectId } } } }],
      };
    const own = [
      { isPublic: true },
      { ownerId: userId },
      { project: { ownerId: userId } },
      { file: { projects: { some: { ownerId: userId } } } },
      { file: { agents: { some: visible.usableAgents(principal) } } },
    ];
    return { OR: can(principal, 'manage:documents') ? [{ projectId: null, fileId: null }, ...own] : own };
  },

  /**
   * One's own files. Who may see projects sees those of their own projects; who may read chats also those of agents that
   * they may use, and of chats that they may read or that are public. A token that is confined to a project sees, beside
   * its own, that project's and those of its chats.
   */
  files: (principal: Principal): Prisma.FileWhereInput => {
    const { credential } = principal;
    const reads = can(principal, 'read:chat');
    const inProjects = reads || can(principal, 'write:projects');
    const confined = credential.projectId !== null;
    return {
      OR: [
        visible.ownFiles(principal),
        ...(inProjects ? [{ projects: { some: visible.projects(principal) } }] : []),
        ...(reads ? [{ messages: { some: visible.chatMessages(principal) } }] : []),
        ...(reads && !confined
          ? [
              visible.agentFiles(principal),
              { messages: { some: { session: { sharing: 'PUBLIC' as const, deletedAt: null } } } },
            ]
          : []),
      ],
    };
  },

  /** Of an agent's files one's own, and, where one may use the agent, all of them; a confined token sees no others by it. */
  agentFiles: (principal: Principal): Prisma.FileWhereInput =>
    principal.credential.projectId === null
      ? {
          OR: [visible.ownFiles(principal), { agents: { some: visible.usableAgents(principal) } }],
        }
      : visible.files(principal),

  /** The files that one may give to projects and agents, and delete: those that one uploaded. */
  ownFiles: ({ userId }: Principal): Prisma.FileWhereInput => ({ ownerId: userId }),

  /** One's own projects; for a token that is confined to one, that one. */
  projects: (principal: Principal): Prisma.ProjectWhereInput =>
    principal.credential.projectId === null ? { ownerId: principal.userId } : { id: principal.credential.projectId },

  /**
   * Users whom the caller can read: themselves; with `read:users` the directory, which has the active ones without those
   * that act within one project; with `manage:users` all of them. The users of chat widgets are visible to no one.
   */
  users: (principal: Principal): Prisma.UserWhereInput => {
    if (can(principal, 'manage:users')) return { embed: null };
    return can(principal, 'read:users')
      ? { OR: [{ id: principal.userId }, visible.directory()] }
      : { id: principal.userId };
  },

  /** The users that the directory lists. */
  directory: (): Prisma.UserWhereInput => ({
    active: true,
    tokens: { none: { kind: { in: ['PROJECT', 'EMBED'] } } },
  }),

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
