/** Maximum number of cached documents. */
const maxDocuments = 256;
/** Maximum length of a cached document, in characters. */
const maxDocumentLength = 10_000;

/**
 * Returns a cache of the most recently used documents. Anonymous clients can send documents of any length, so the cache
 * is bounded in number and in size.
 */
export function recentDocuments<Document>() {
  const recent = new Map<string, Document>();
  let hits = 0;
  let misses = 0;
  return {
    get hits() {
      return hits;
    },
    get misses() {
      return misses;
    },
    get(text: string): Document | undefined {
      const document = recent.get(text);
      if (document === undefined) {
        misses++;
        return undefined;
      }
      hits++;
      recent.delete(text);
      recent.set(text, document);
      return document;
    },
    set(text: string, document: Document): void {
      if (text.length > maxDocumentLength) return;
      recent.set(text, document);
      const [oldest] = recent.keys();
      if (recent.size > maxDocuments && oldest !== undefined) recent.delete(oldest);
    },
  };
}
