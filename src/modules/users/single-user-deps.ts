import type { Settings } from '../../settings.ts';
import type { SignUpDeps } from './session-deps.ts';
import type { SessionsService } from './sessions.service.ts';

/** What the use cases of single-user mode need. */
export interface SingleUserDeps extends SignUpDeps {
  sessions: SessionsService;
  settings: Pick<Settings, 'authToken'>;
}
