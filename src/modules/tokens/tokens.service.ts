import { keyCreation } from './create-key.ts';
import { keyDeletion } from './delete-key.ts';
import { firstAdminKey } from './first-admin-key.ts';
import { personalTokens } from './personal-tokens.ts';
import { keyRegeneration } from './regenerate-key.ts';
import type { TokenDeps } from './token-deps.ts';
import { tokenLists } from './token-lists.ts';
import { keyUpdates } from './update-key.ts';

/** API keys, project tokens and personal access tokens. Each use case has a separate file. */
export const createTokensService = (deps: TokenDeps) => ({
  ...keyCreation(deps),
  ...firstAdminKey(deps),
  ...keyUpdates(deps),
  ...keyRegeneration(deps),
  ...keyDeletion(deps),
  ...personalTokens(deps),
  ...tokenLists(deps),
});
