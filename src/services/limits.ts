import type { AuditService } from '../modules/audit/audit.service.ts';
import { createLimitsService } from '../modules/limits/limits.service.ts';
import { createUsageService } from '../modules/limits/usage.service.ts';
import type { Foundation } from './foundation.ts';

/** Creates the services for limits and for the usage that they count. */
export function createLimitServices({ db, log, shared }: Foundation, audit: AuditService) {
  const usage = createUsageService(db);
  return { usage, limits: createLimitsService({ db, audit, usage, log, shared }) };
}
export type LimitServices = ReturnType<typeof createLimitServices>;
