import type { Settings } from '../../settings.ts';
import type { AccountDeps } from './account-deps.ts';
import type { Attempts } from './login-throttle.ts';

/** What the use cases of people who set up their own account need. */
export interface SignUpDeps extends AccountDeps {
  attempts: Attempts;
}

/** What the use cases of registration and of login sessions need. */
export interface SessionDeps extends SignUpDeps {
  settings: Pick<Settings, 'registration' | 'firstPersonIsAdmin' | 'publicUrl'>;
}
