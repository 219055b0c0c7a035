import { agentRows } from './onyx/agents.ts';
import { chatRows } from './onyx/chat.ts';
import { ingestionRows } from './onyx/ingestion.ts';
import { tokenRows } from './onyx/tokens.ts';
import { toolRows } from './onyx/tools.ts';
import { userRows } from './onyx/users.ts';
import type { AnyRow } from './row.ts';

/** Every operation of the REST layer, in the order of the documentation. A path that is fixed stands before one with a parameter. */
export const rows: readonly AnyRow[] = [
  ...userRows,
  ...tokenRows,
  ...agentRows,
  ...toolRows,
  ...chatRows,
  ...ingestionRows,
];
