/**
 * The vocabulary of permissions and the table of the permissions of each role, both defined only here. The schema's
 * `@requiresScopes`, its field descriptions, schema/permissions.md and the test matrix are derived from this table.
 */
export const roles = ['LIMITED', 'BASIC', 'ADMIN'] as const;
export type Role = (typeof roles)[number];

interface Definition {
  title: string;
  allows: string;
  /** The lowest role that has the permission; every higher role has it too. */
  from: Role;
  /**
   * Set when the permission applies within one project: a token that is restricted to a project can have no other
   * permission.
   */
  inProject?: true;
  /**
   * Set when the mutations that require the permission create, change or revoke credentials; they reject a secret that
   * was replaced.
   */
  credentials?: true;
}

const table = {
  'read:agents': {
    title: 'Read agents',
    allows: 'List and read the agents that the caller may see.',
    from: 'LIMITED',
    inProject: true,
  },
  'write:chat': {
    title: 'Chat',
    allows: 'Create a chat session, send a message, stop the caller’s own run, rate an answer just received.',
    from: 'LIMITED',
    inProject: true,
  },
  'write:agents': {
    title: 'Write agents',
    allows: 'Create agents; edit, share and delete the caller’s own agents.',
    from: 'BASIC',
  },
  'read:chat': {
    title: 'Read chat history',
    allows: 'List, open, search, resume and export the caller’s own sessions, messages and files.',
    from: 'BASIC',
    inProject: true,
  },
  'manage:chat': {
    title: 'Manage chats',
    allows: 'Rename, share and delete the caller’s own sessions.',
    from: 'BASIC',
    inProject: true,
  },
  'read:search': {
    title: 'Search',
    allows: 'Search documents and the web, open URLs, read tags.',
    from: 'BASIC',
    inProject: true,
  },
  'read:actions': { title: 'Read actions', allows: 'List and read actions (tools).', from: 'BASIC' },
  'write:projects': {
    title: 'Projects',
    allows: 'Create, read, change and delete the caller’s own projects, their files and instructions.',
    from: 'BASIC',
    inProject: true,
  },
  'read:users': { title: 'Directory', allows: 'Read the directory of names.', from: 'BASIC' },
  'write:tokens': {
    title: 'Personal access tokens',
    allows:
      'Create, list and revoke the caller’s own personal access tokens, and the tokens of the caller’s own projects.',
    from: 'BASIC',
    credentials: true,
  },
  'use:llm_gateway': { title: 'Model gateway', allows: 'Call the OpenAI-compatible paths.', from: 'BASIC' },
  'manage:agents': { title: 'Manage agents', allows: 'Read and change every agent.', from: 'ADMIN' },
  'manage:actions': { title: 'Manage actions', allows: 'Create, change and delete actions.', from: 'ADMIN' },
  'manage:documents': { title: 'Manage documents', allows: 'Add, list and remove documents.', from: 'ADMIN' },
  'manage:users': {
    title: 'Manage users',
    allows: 'Invite, change, deactivate and delete people; list and revoke their tokens and login sessions.',
    from: 'ADMIN',
    credentials: true,
  },
  'manage:api_keys': {
    title: 'Manage API keys',
    allows: 'Create, change, regenerate and delete API keys.',
    from: 'ADMIN',
    credentials: true,
  },
  'manage:rate_limits': { title: 'Manage limits', allows: 'Set limits on requests and model tokens.', from: 'ADMIN' },
  'manage:settings': { title: 'Manage settings', allows: 'Change the settings of the server.', from: 'ADMIN' },
  'read:analytics': { title: 'Analytics', allows: 'Read usage figures of the whole server.', from: 'ADMIN' },
  'read:query_history': { title: 'Query history', allows: 'Read the chat history of everybody.', from: 'ADMIN' },
  'read:audit': { title: 'Audit', allows: 'Read the audit trail.', from: 'ADMIN' },
} as const satisfies Record<string, Definition>;

export type Permission = keyof typeof table;
export const permissionTable: Readonly<Record<Permission, Definition>> = table;
export const permissions = Object.keys(table) as Permission[];

/** Returns the permission as a constant: `READ_AGENTS` for `read:agents`. */
export const permissionConstant = (name: Permission): string => name.toUpperCase().replace(/\W/g, '_');

export const isPermission = (name: string): name is Permission => Object.hasOwn(table, name);

const granted = Object.fromEntries(
  roles.map((role) => [
    role,
    new Set(permissions.filter((name) => roles.indexOf(table[name].from) <= roles.indexOf(role))),
  ]),
) as unknown as Record<Role, ReadonlySet<Permission>>;

/** Returns all permissions of a role. */
export const rolePermissions = (role: Role): ReadonlySet<Permission> => granted[role];

/** Returns whether a token that is restricted to a project can have the permission. */
export const holdsInProject = (name: Permission): boolean => permissionTable[name].inProject ?? false;

/** Returns whether mutations that require the permission create, change or revoke credentials. */
export const concernsCredentials = (name: Permission): boolean => permissionTable[name].credentials ?? false;

/** Returns the permissions that are in both sets. */
export const intersection = (some: ReadonlySet<Permission>, others: ReadonlySet<Permission>): ReadonlySet<Permission> =>
  new Set([...some].filter((name) => others.has(name)));

/**
 * Returns the permissions of a credential: those of the role, restricted to the token's scopes. With `scopes: null`,
 * all permissions of the role. An unknown scope grants nothing.
 */
export function effectivePermissions(role: Role, scopes: readonly string[] | null): ReadonlySet<Permission> {
  const held = granted[role];
  return scopes === null ? held : new Set(scopes.filter(isPermission).filter((name) => held.has(name)));
}
