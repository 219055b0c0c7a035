import type { Settings } from '../../settings.ts';
import { passwordChanges } from './change-password.ts';
import { login } from './login.ts';
import { logout } from './logout.ts';
import { sessionRefresh } from './refresh-session.ts';
import { registration } from './register.ts';
import type { SessionDeps } from './session-deps.ts';
import { hasPeople } from './users.service.ts';

/** Registration, login sessions and changes of the own password. Each use case has a separate file. */
export const createSessionsService = (deps: SessionDeps) => ({
  /** Whether clients use https, in which case the session cookie is sent over https only. */
  overHttps: deps.settings.publicUrl.startsWith('https:'),

  /** Returns how people can sign in, for anonymous clients. */
  async authentication(): Promise<{ registration: Settings['registration']; hasUsers: boolean }> {
    return { registration: deps.settings.registration, hasUsers: await hasPeople(deps.db.prisma) };
  },

  ...registration(deps),
  ...login(deps),
  ...sessionRefresh(deps),
  ...logout(deps),
  ...passwordChanges(deps),
});

export type SessionsService = ReturnType<typeof createSessionsService>;
