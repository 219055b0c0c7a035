import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../../root.ts';
import type { Database } from '../../store/database.ts';
import type { KnowledgeService } from './knowledge.service.ts';

/** The documents about this server on a new installation, so that a first question has an answer. */
const pages = [
  { id: 'latchkey-readme', file: 'README.md', title: 'Latchkey' },
  { id: 'latchkey-architecture', file: 'ARCHITECTURE.md', title: 'Latchkey architecture' },
];

/** The key of the setting that records the ingested pages: their IDs, and a digest of text and link. */
const key = 'guide';

/**
 * Ingests the pages of this project as public documents, once: a page that an administrator removed is not restored.
 * Existing pages are updated when their file changes. Uses one statement when nothing changed. `publicUrl` has no
 * trailing slash; `folder` contains the files, and missing files are skipped.
 */
export async function ingestGuide(
  db: Database,
  knowledge: KnowledgeService,
  publicUrl: string,
  folder = projectRoot,
): Promise<void> {
  const row = await db.prisma.setting.findUnique({ where: { key } });
  const seen = (row?.value ?? {}) as Record<string, string>;
  const changed = pages
    .filter(({ file }) => existsSync(join(folder, file)))
    .map((page) => {
      const text = readFileSync(join(folder, page.file), 'utf8');
      const link = `${publicUrl}/guide/${page.file}`;
      const digest = createHash('sha256')
        .update(JSON.stringify([page.title, text, link]))
        .digest('hex');
      return { ...page, text, link, digest };
    })
    .filter(({ id, digest }) => seen[id] !== digest);
  if (changed.length === 0) return;

  const present = await db.prisma.document.findMany({
    where: { externalId: { in: changed.map(({ id }) => id) } },
    select: { externalId: true },
  });
  for (const { id, title, text, link } of changed) {
    const removed = seen[id] !== undefined && !present.some(({ externalId }) => externalId === id);
    if (!removed) await knowledge.ingest(null, { id, title, sections: [{ text, link }], source: 'file' }, 'BUILTIN');
  }
  const value = { ...seen, ...Object.fromEntries(changed.map(({ id, digest }) => [id, digest])) };
  await db.prisma.setting.upsert({ where: { key }, create: { key, value }, update: { value } });
}
