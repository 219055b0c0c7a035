import type { AccountDeps } from './account-deps.ts';
import { accountActivation } from './activate-account.ts';
import { roleChanges } from './change-role.ts';
import { accountCreation } from './create-account.ts';
import { accountDeletion } from './delete-account.ts';
import { invitations } from './invitations.ts';
import { passwordResets } from './reset-password.ts';
import { accountUpdates } from './update-account.ts';
import { userLists } from './user-lists.ts';

/** The directory of people and their administration. Each use case has a separate file. */
export const createAccountsService = (deps: AccountDeps) => ({
  ...userLists(deps),
  ...invitations(deps),
  ...accountCreation(deps),
  ...accountUpdates(deps),
  ...accountActivation(deps),
  ...roleChanges(deps),
  ...accountDeletion(deps),
  ...passwordResets(deps),
});
