import { folderCreation } from './create-folder.ts';
import { documentDeletion } from './delete-documents.ts';
import { folderDeletion } from './delete-folder.ts';
import type { FolderDeps } from './folder-deps.ts';
import { folderLists } from './folder-lists.ts';
import { documentMoves } from './move-documents.ts';

/** The folders in which the AnythingLLM paths list documents. Each use case has a separate file. */
export const createFoldersService = (deps: FolderDeps) => ({
  ...folderLists(deps),
  ...folderCreation(deps),
  ...folderDeletion(deps),
  ...documentMoves(deps),
  ...documentDeletion(deps),
});
