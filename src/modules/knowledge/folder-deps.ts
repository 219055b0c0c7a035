import type { Database } from '../../store/database.ts';
import type { AuditService } from '../audit/audit.service.ts';

/** The dependencies of the use cases of document folders. */
export interface FolderDeps {
  db: Database;
  audit: AuditService;
}
