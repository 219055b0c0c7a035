import type { Database } from '../../store/database.ts';
import type { HistogramSeries } from '../../telemetry/series.ts';
import type { AuditService } from '../audit/audit.service.ts';
import type { Embedder } from './embedding-indexer.ts';

/** The dependencies of the use cases of documents. */
export interface KnowledgeDeps {
  db: Database;
  audit: AuditService;
  /** Null without an embedding model. */
  embedder: Embedder | null;
  /** Receives the duration of each search, in seconds. Defaults to none. */
  searches?: HistogramSeries;
}
