import type { Settings } from '../../settings.ts';
import type { FilesService } from '../files/files.service.ts';
import type { KnowledgeService } from './knowledge.service.ts';

/** The dependencies of the use cases that add files, texts and web pages as documents. */
export interface IntakeDeps {
  knowledge: KnowledgeService;
  files: Pick<FilesService, 'textOf'>;
  settings: Settings;
}
