import { linkAddition } from './add-link.ts';
import { textAddition } from './add-text.ts';
import type { IntakeDeps } from './intake-deps.ts';
import { documentUploads } from './upload-documents.ts';

/** Adds files, texts and web pages as documents. Only their text is stored. Each use case has a separate file. */
export const createIntakeService = (deps: IntakeDeps) => ({
  ...documentUploads(deps),
  ...textAddition(deps),
  ...linkAddition(deps),
});
