import type { Log } from '../../log.ts';
import type { Database } from '../../store/database.ts';
import type { Leases } from '../../store/shared/leases.ts';
import type { AuditService } from '../audit/audit.service.ts';
import type { ActiveLimits } from './active-limits.ts';
import type { UsageService } from './usage.service.ts';

/** The dependencies of the use cases of limits. */
export interface LimitDeps {
  db: Database;
  audit: AuditService;
  usage: UsageService;
  log: Log;
  active: ActiveLimits;
  leases: Leases;
}
