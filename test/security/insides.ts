/**
 * What of the inside of the server a reply tells that it should not: where code stands and, in a refusal, what it is made
 * of. An answer may speak of that: this server's own pages do. null when there is nothing.
 */
export function insides(status: number, text: string): string | null {
  const [code] = /node_modules|\n\s+at |\.ts:\d/.exec(text) ?? [];
  if (code !== undefined) return code;
  const refused = status >= 400 || /"errors?":["[]/.test(text);
  return (refused && /prisma|PostgreSQL/i.exec(text)?.[0]) || null;
}
