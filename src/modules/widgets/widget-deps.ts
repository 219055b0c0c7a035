import type { Settings } from '../../settings.ts';
import type { Database } from '../../store/database.ts';
import type { Revocations } from '../../store/shared/revocations.ts';
import type { AuditService } from '../audit/audit.service.ts';
import type { UsersService } from '../users/users.service.ts';

/** The dependencies of the use cases of chat widgets. */
export interface WidgetDeps {
  db: Database;
  audit: AuditService;
  users: UsersService;
  revocations: Revocations;
  settings: Pick<Settings, 'widgetOrigins'>;
}
