import type { AuditService } from '../modules/audit/audit.service.ts';
import { createAuthenticator } from '../modules/tokens/authenticate.ts';
import { createTokensService } from '../modules/tokens/tokens.service.ts';
import { createUserCredentialsService } from '../modules/tokens/user-credentials.service.ts';
import { createAccountsService } from '../modules/users/accounts.service.ts';
import { createInviteCodesService } from '../modules/users/invite-codes.service.ts';
import { attemptCounters, createLoginThrottle } from '../modules/users/login-throttle.ts';
import { createSessionsService } from '../modules/users/sessions.service.ts';
import { createSingleUserService } from '../modules/users/single-user.service.ts';
import { createUsersService } from '../modules/users/users.service.ts';
import type { Foundation } from './foundation.ts';

/** Creates the services for users, their logins and their credentials. */
export function createAccountServices({ settings, db, background, shared }: Foundation, audit: AuditService) {
  const { revocations } = shared;
  const users = createUsersService();
  const attempts = createLoginThrottle(attemptCounters(shared.counters));
  const sessions = createSessionsService({ db, audit, users, revocations, attempts, settings });
  return {
    users,
    sessions,
    accounts: createAccountsService({ db, audit, users, revocations }),
    inviteCodes: createInviteCodesService({ db, audit, users, revocations, attempts }),
    singleUser: createSingleUserService({ db, audit, users, sessions, revocations, attempts, settings }),
    credentials: createAuthenticator(db, audit, background),
    tokens: createTokensService({ db, audit, users, revocations }),
    userCredentials: createUserCredentialsService({ db, audit, revocations }),
  };
}
export type AccountServices = ReturnType<typeof createAccountServices>;
