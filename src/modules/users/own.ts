import type { Viewer } from '../../authz/principal.ts';

const handedOut = new WeakSet<object>();

/**
 * Marks a user object that a mutation returns to that same user, who had no credential when the mutation was called.
 */
export function toThemselves<User extends object>(user: User): User {
  handedOut.add(user);
  return user;
}

/** Returns whether the caller is this user. */
export const isThemselves = (user: { id: string }, viewer: Viewer): boolean =>
  viewer?.userId === user.id || handedOut.has(user);
