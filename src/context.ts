import type { Client, Viewer } from './authz/principal.ts';
import type { Budget } from './budget.ts';
import type { Log } from './log.ts';
import type { Services } from './services.ts';
import type { Database } from './store/database.ts';

/** What a resolver may use. Made once a request, the same for GraphQL and for a REST row. */
export interface Context {
  principal: Viewer;
  /** Where the request came from, also that of a stranger. */
  client: Client;
  services: Services;
  db: Database;
  log: Log;
  requestId: string;
  /** Ends when the client goes away. A chat run does not listen to it; readers do. */
  signal: AbortSignal;
  /** What the operation may use while it runs. */
  budget: Budget;
  /** Rows a page may have: 100 for GraphQL clients, more for REST rows, whose contracts have larger pages. */
  pageLimit: number;
}
