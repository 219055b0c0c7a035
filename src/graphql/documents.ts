/** Documents that are kept parsed and validated. */
const mostDocuments = 256;
/** Characters of the longest of them. */
const longestDocument = 10_000;

/**
 * The documents that were used last. Strangers can send documents too, of any length: what is kept has a bound, in
 * their number and in their size.
 */
export function recentDocuments<Document>() {
  const recent = new Map<string, Document>();
  return {
    get(text: string): Document | undefined {
      const document = recent.get(text);
      if (document === undefined) return undefined;
      recent.delete(text);
      recent.set(text, document);
      return document;
    },
    set(text: string, document: Document): void {
      if (text.length > longestDocument) return;
      recent.set(text, document);
      const [oldest] = recent.keys();
      if (recent.size > mostDocuments && oldest !== undefined) recent.delete(oldest);
    },
  };
}
