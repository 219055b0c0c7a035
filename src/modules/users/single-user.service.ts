import { multiUserMode } from './enable-multi-user.ts';
import { tokenRequests } from './request-token.ts';
import type { SingleUserDeps } from './single-user-deps.ts';

/**
 * Single-user mode, as AnythingLLM clients know it: the password in AUTH_TOKEN opens the server until the first person
 * exists. Each use case has a separate file.
 */
export const createSingleUserService = (deps: SingleUserDeps) => ({ ...tokenRequests(deps), ...multiUserMode(deps) });
