import type { Viewer } from '../../authz/principal.ts';

const handedOut = new WeakSet<object>();

/** Marks a user that a mutation returns to that same user, who had no credential when the mutation was called. */
export function toThemselves<User extends object>(user: User): User {
  handedOut.add(user);
  return user;
}

/** Whether the caller is the user. */
export const isThemselves = (user: { id: string }, viewer: Viewer): boolean =>
  viewer?.userId === user.id || handedOut.has(user);
