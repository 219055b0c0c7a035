import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { documentationPages } from '../../documentation.ts';
import { projectRoot } from '../../project-root.ts';
import type { Database } from '../../store/database.ts';
import type { KnowledgeService } from './knowledge.service.ts';

/** Returns the ID of the document of a page: `latchkey-docs-search` for `docs/search.md`. */
const documentId = (file: string): string => `latchkey-${file.replace(/\.md$/, '').replace('/', '-').toLowerCase()}`;

/** Returns the first heading of a page. */
const titleOf = (text: string): string => /^# (.+)$/m.exec(text)?.[1] ?? 'Latchkey';

/** Returns the text of a page without its comments, which the built-in model must not quote. */
const withoutComments = (text: string): string => text.replace(/^<!--[\s\S]*?-->\n/gm, '');

/** The key of the setting that records the ingested pages: their IDs, and a digest of text and link. */
const key = 'guide';

/**
 * Ingests the pages in `docs/` as public documents, so that a new server can answer a question about itself. Each links
 * to its page under `/docs`. A page that an administrator deleted is not restored. A page is updated when its file
 * changes, and deleted when its file no longer exists. Runs one statement when no page changed. `publicUrl` has no
 * trailing slash; `folder` contains the files.
 */
export async function ingestGuide(
  db: Database,
  knowledge: KnowledgeService,
  publicUrl: string,
  folder = projectRoot,
): Promise<void> {
  const row = await db.prisma.setting.findUnique({ where: { key } });
  const seen = (row?.value ?? {}) as Record<string, string>;
  const pages = documentationPages(folder).map((file) => {
    const text = withoutComments(readFileSync(join(folder, file), 'utf8'));
    const title = titleOf(text);
    const link = `${publicUrl}/${file.replace(/\.md$/, '')}`;
    const digest = createHash('sha256')
      .update(JSON.stringify([title, text, link]))
      .digest('hex');
    return { id: documentId(file), title, text, link, digest };
  });
  const changed = pages.filter(({ id, digest }) => seen[id] !== digest);
  const obsolete = Object.keys(seen).filter((id) => pages.every((page) => page.id !== id));
  if (changed.length === 0 && obsolete.length === 0) return;

  if (obsolete.length > 0)
    await db.prisma.document.deleteMany({ where: { externalId: { in: obsolete }, origin: 'BUILTIN' } });

  const present = await db.prisma.document.findMany({
    where: { externalId: { in: changed.map(({ id }) => id) } },
    select: { externalId: true },
  });
  for (const { id, title, text, link } of changed) {
    const removed = seen[id] !== undefined && !present.some(({ externalId }) => externalId === id);
    if (!removed) await knowledge.ingest(null, { id, title, sections: [{ text, link }], source: 'file' }, 'BUILTIN');
  }
  const value = Object.fromEntries(pages.map(({ id, digest }) => [id, digest]));
  await db.prisma.setting.upsert({ where: { key }, create: { key, value }, update: { value } });
}
