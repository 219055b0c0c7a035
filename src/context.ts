import type { Client, Viewer } from './authz/principal.ts';
import type { Budget } from './budget.ts';
import type { RequestScope } from './log.ts';
import type { Services } from './services.ts';
import type { Database } from './store/database.ts';

/** The values available to a resolver. Created once per request, for GraphQL and REST alike. */
export interface Context {
  principal: Viewer;
  /** The network side of the request, also for an anonymous one. */
  client: Client;
  services: Services;
  db: Database;
  /** The ID and the log of the request. */
  scope: RequestScope;
  /** Aborts when the client disconnects. Readers use it; a chat run does not. */
  signal: AbortSignal;
  /** What the operation may use while it runs. */
  budget: Budget;
  /**
   * Maximum number of rows per page: 100 for GraphQL clients, more for REST endpoints, whose contracts have larger
   * pages.
   */
  pageLimit: number;
}
