import type { ChatDeps } from './chat-deps.ts';
import { sessionCreation } from './create-session.ts';
import { sessionDeletion } from './delete-session.ts';
import { documentSizes } from './document-sizes.ts';
import { sessionLookup } from './find-session.ts';
import { messageReferences } from './message-sources.ts';
import { sessionMoves } from './move-session.ts';
import { sessionLists } from './session-lists.ts';
import { sessionRestart } from './start-over.ts';
import { sessionUpdates } from './update-session.ts';

/** Chat sessions and the sources of their messages. Each use case has a separate file. */
export const createChatService = (deps: ChatDeps) => ({
  ...sessionCreation(deps),
  ...sessionLookup(deps),
  ...sessionRestart(deps),
  ...sessionLists(deps),
  ...sessionUpdates(deps),
  ...sessionMoves(deps),
  ...sessionDeletion(deps),

  /** Returns the sources of messages. See {@link messageReferences}. */
  references: messageReferences(deps.db, deps.knowledge),

  /** Returns the length of a document. See {@link documentSizes}. */
  documentSize: documentSizes(deps.db),
});

export type ChatService = ReturnType<typeof createChatService>;
