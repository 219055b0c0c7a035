import { join } from 'node:path';
import type { AuditService } from '../modules/audit/audit.service.ts';
import { createExtractor } from '../modules/files/extract/extractor.ts';
import { createFilesService } from '../modules/files/files.service.ts';
import { createEmbedder } from '../modules/knowledge/embedding-indexer.ts';
import { createFoldersService } from '../modules/knowledge/folders.service.ts';
import { createIntakeService } from '../modules/knowledge/intake.service.ts';
import { createKnowledgeService } from '../modules/knowledge/knowledge.service.ts';
import { folderBlobs } from '../store/blobs.ts';
import { s3Blobs } from '../store/s3-blobs.ts';
import type { Foundation } from './foundation.ts';
import type { Models } from './models.ts';

/** Creates the services for documents, files and the search in them. */
export function createKnowledgeServices(
  { settings, db, log, background, metrics, shared }: Foundation,
  audit: AuditService,
  { embedding }: Models,
) {
  const embedder = embedding && createEmbedder({ db, model: embedding, background, log, locks: shared.locks });
  const knowledge = createKnowledgeService({ db, audit, embedder, searches: metrics.searches });
  const files = createFilesService({
    db,
    audit,
    blobs: settings.s3 ? s3Blobs(settings.s3, { log }) : folderBlobs(join(settings.dataDir, 'files')),
    extractor: createExtractor({ log }),
    knowledge,
    background,
    settings,
    log,
    locks: shared.locks,
  });
  return {
    embedder,
    knowledge,
    files,
    folders: createFoldersService({ db, audit }),
    intake: createIntakeService({ knowledge, files, settings }),
  };
}
export type KnowledgeServices = ReturnType<typeof createKnowledgeServices>;
