import type { Prisma } from '../generated/prisma/client.ts';
import { confinedKinds, personalKinds, serviceAccountKinds } from './credentials.ts';
import { rolePermissions, roles } from './permissions.ts';
import { can, type Principal } from './principal.ts';

/** Returns whether `visible.projects` contains a project: a query cannot filter a relation to one object. */
export const seesProject = ({ userId, credential }: Principal, project: { id: number; ownerId: string }): boolean =>
  credential.projectId === null ? project.ownerId === userId : project.id === credential.projectId;

/**
 * Object-level rules as where-builders. Every read and write uses one of them, so that "does not exist" and "belongs to
 * another user" are one code path with one response.
 */
export const visible = {
  /**
   * Public and built-in agents, the principal's own agents and those shared with the principal; all agents for
   * `manage:agents`. The user of a project token owns no agents, and agents are not shared with it.
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

  /** The visible agents that can be used for a chat and whose files the principal can read. */
  usableAgents: (principal: Principal): Prisma.AgentWhereInput => ({
    AND: [visible.agents(principal), { deletedAt: null }],
  }),

  /** The principal's own agents and those shared for editing; all agents for `manage:agents`. */
  editableAgents: (principal: Principal): Prisma.AgentWhereInput =>
    can(principal, 'manage:agents')
      ? {}
      : {
          isBuiltin: false,
          OR: [{ ownerId: principal.userId }, { shares: { some: { userId: principal.userId, permission: 'EDITOR' } } }],
        },

  /**
   * The agents that the principal can share, delete or publish: those it owns, and all agents for `manage:agents`.
   * Editors are not included.
   */
  ownedAgents: (principal: Principal): Prisma.AgentWhereInput =>
    can(principal, 'manage:agents') ? {} : { isBuiltin: false, ownerId: principal.userId },

  /**
   * The principal's own sessions. The owner of a project and its tokens can read each other's chats in the project if
   * they hold `read:chat`, since continuing a chat requires reading it. A project token sees no session outside its
   * project.
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

  /**
   * The sessions that the principal can rename, share and delete. The owner of a project manages all of its chats; its
   * tokens manage their own.
   */
  ownChatSessions: (principal: Principal): Prisma.ChatSessionWhereInput => ({
    AND: [visible.chatSessions(principal), principal.credential.projectId === null ? {} : { userId: principal.userId }],
  }),

  chatMessages: (principal: Principal): Prisma.ChatMessageWhereInput => ({ session: visible.chatSessions(principal) }),

  /** For `read:query_history`: the feedback of all users, as long as the session exists. */
  feedback: (): Prisma.FeedbackWhereInput => ({ message: { session: { deletedAt: null } } }),

  /**
   * Public documents, the principal's own documents, those of its projects, and those of files that belong to an agent
   * the principal can use. For `manage:documents`, all documents except private ones of other users' projects and
   * files. For a project token, the documents of that project only.
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
   * The principal's own files. With `write:projects`, also the files of its projects; with `read:chat`, also those of
   * agents that it can use and of chats that it can read or that are public. A project token sees its own files, those
   * of its project and those of its chats.
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

  /**
   * The principal's own files of an agent and, if the principal can use the agent, all of them. A project token sees no
   * others through an agent.
   */
  agentFiles: (principal: Principal): Prisma.FileWhereInput =>
    principal.credential.projectId === null
      ? {
          OR: [visible.ownFiles(principal), { agents: { some: visible.usableAgents(principal) } }],
        }
      : visible.files(principal),

  /** The files that the principal can add to projects and agents, and delete: those that it uploaded. */
  ownFiles: ({ userId }: Principal): Prisma.FileWhereInput => ({ ownerId: userId }),

  /** The principal's own projects; for a project token, its project. */
  projects: (principal: Principal): Prisma.ProjectWhereInput =>
    principal.credential.projectId === null ? { ownerId: principal.userId } : { id: principal.credential.projectId },

  /**
   * The users that the principal can read: itself; with `read:users`, also the users in the directory, which lists
   * active users except those that act within a single project; with `manage:users`, all users. The users that chat
   * widgets act as are never included.
   */
  users: (principal: Principal): Prisma.UserWhereInput => {
    if (can(principal, 'manage:users')) return { embed: null };
    return can(principal, 'read:users')
      ? { OR: [{ id: principal.userId }, visible.directory()] }
      : { id: principal.userId };
  },

  /** The users that are listed in the directory. */
  directory: (): Prisma.UserWhereInput => ({
    active: true,
    tokens: { none: { kind: { in: confinedKinds } } },
  }),

  /** The keys that act as their own user, with any prefix. */
  apiKeys: (): Prisma.TokenWhereInput => ({ kind: { in: serviceAccountKinds }, revokedAt: null }),

  /** The tokens of the projects that the principal can see. */
  projectTokens: (principal: Principal): Prisma.TokenWhereInput => ({
    kind: 'PROJECT',
    revokedAt: null,
    project: visible.projects(principal),
  }),

  /** The principal's own personal access tokens that still work. */
  personalAccessTokens: (principal: Principal, now = new Date()): Prisma.TokenWhereInput => ({
    kind: 'PERSONAL',
    userId: principal.userId,
    revokedAt: null,
    OR: [{ expiresAt: null }, { expiresAt: { gt: now } }],
  }),

  /**
   * For `manage:users`: the working personal access tokens and login sessions of all users, and the tokens of their
   * projects. The credentials of users whose role has more permissions than the principal are not included: the
   * principal may not revoke them, and they reveal from where the user logs in.
   */
  userCredentials: (principal: Principal, now = new Date()): Prisma.TokenWhereInput => {
    const user = { role: { in: administrableRoles(principal) } };
    return {
      revokedAt: null,
      OR: [
        { kind: { in: personalKinds }, user, OR: [{ expiresAt: null }, { expiresAt: { gt: now } }] },
        // Expired project tokens are included because the project's owner can give them a new expiry.
        { kind: 'PROJECT', project: { owner: user } },
      ],
    };
  },
} as const;

/**
 * Returns the roles whose permissions the principal has in full. The principal may administer users with these roles.
 */
const administrableRoles = (principal: Principal) =>
  roles.filter((role) => [...rolePermissions(role)].every((held) => can(principal, held)));
