import type { Prisma } from '../../../generated/prisma/client.ts';
import type { Importing } from '../importing.ts';
import { cutTo, webLink } from '../text.ts';
import type { Source } from './shapes.ts';

/** Returns the imported documents by the URL that sources name them with. */
export async function documentsByUrl({ db, ledger }: Importing): Promise<Map<string, string>> {
  const byUrl = new Map<string, string>();
  const ids = ledger.targets('document');
  for (let from = 0; from < ids.length; from += 1000) {
    const where = { externalId: { in: ids.slice(from, from + 1000) } };
    for (const { externalId, metadata } of await db.prisma.document.findMany({
      where,
      select: { externalId: true, metadata: true },
    })) {
      const { url } = metadata as { url?: string };
      if (url) byUrl.set(url, externalId);
    }
  }
  return byUrl;
}

/** Converts sources to the passages of an answer, numbered by document. */
export function passagesOf(sources: readonly Source[], byUrl: ReadonlyMap<string, string>): Prisma.InputJsonArray {
  const numbers = new Map<string, number>();
  return sources.map((source, position) => {
    const title = cutTo(source.title, 500) || 'Untitled';
    const documentId = byUrl.get(source.url) ?? (cutTo(source.url || source.id, 500) || title);
    const number = numbers.get(documentId) ?? numbers.size + 1;
    numbers.set(documentId, number);
    const link = webLink(source.chunkSource.replace(/^link:\/\//, '')) ?? webLink(source.url);
    // AnythingLLM repeats metadata before each passage.
    const text = cutTo(source.text.replace(/^\s*<document_metadata>[\s\S]*?<\/document_metadata>\s*/, ''), 20_000);
    const found = { documentId, title, link, text, number, position, score: source.score };
    return { ...found, chunkId: 0, heading: '', source: 'anythingllm', metadata: {}, updatedAt: null, highlights: [] };
  });
}
