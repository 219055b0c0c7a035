import type { Log } from '../../log.ts';
import type { Settings } from '../../settings.ts';
import type { Background } from '../../store/background.ts';
import type { Blobs } from '../../store/blobs.ts';
import type { Database } from '../../store/database.ts';
import type { Locks } from '../../store/shared/locks.ts';
import type { AuditService } from '../audit/audit.service.ts';
import type { KnowledgeService } from '../knowledge/knowledge.service.ts';
import type { Extractor } from './extract/extractor.ts';

/** What the use cases of files need. */
export interface FilesDeps {
  db: Database;
  audit: AuditService;
  blobs: Blobs;
  extractor: Extractor;
  knowledge: KnowledgeService;
  background: Background;
  settings: Settings;
  log: Log;
  locks: Locks;
}
