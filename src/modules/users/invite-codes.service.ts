import { inviteAcceptance } from './accept-invite.ts';
import { inviteCodeCreation } from './create-invite-code.ts';
import { inviteCodeDisabling } from './disable-invite-code.ts';
import { inviteCodeLists } from './invite-code-lists.ts';
import type { SignUpDeps } from './session-deps.ts';

/** Invite codes, each of which creates one account with access to agents. Each use case has a separate file. */
export const createInviteCodesService = (deps: SignUpDeps) => ({
  ...inviteCodeLists(deps),
  ...inviteCodeCreation(deps),
  ...inviteCodeDisabling(deps),
  ...inviteAcceptance(deps),
});
