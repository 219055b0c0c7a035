import { documentAddition } from './add-documents.ts';
import { documentIds } from './document-ids.ts';
import { documentLists } from './document-lists.ts';
import { fileDocuments } from './file-documents.ts';
import { documentIngestion } from './ingest-document.ts';
import type { KnowledgeDeps } from './knowledge-deps.ts';
import { projectDocuments } from './project-documents.ts';
import { documentRemoval } from './remove-document.ts';
import { documentSearch } from './search.ts';

/** Documents and the search for their passages. Each use case has a separate file. */
export const createKnowledgeService = (deps: KnowledgeDeps) => ({
  ...documentIngestion(deps),
  ...documentAddition(deps),
  ...projectDocuments(deps),
  ...fileDocuments(deps),
  ...documentRemoval(deps),
  ...documentLists(deps),
  ...documentSearch(deps),
  ...documentIds(deps),
});

export type KnowledgeService = ReturnType<typeof createKnowledgeService>;
