import type { AnyEndpoint } from '../endpoint.ts';
import { documentFolderEndpoints } from './document-folders.ts';
import { documentEndpoints } from './documents.ts';
import { vectorSearchEndpoints } from './vector-search.ts';

/** The endpoints for documents, their folders and the search in them. */
export const allDocumentEndpoints: readonly AnyEndpoint[] = [
  ...documentEndpoints,
  ...documentFolderEndpoints,
  ...vectorSearchEndpoints,
];
