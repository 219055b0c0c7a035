/**
 * Returns internal details that a response reveals, or null: locations of code and, in an error, names of its
 * components. A successful answer can mention them, as this server's own pages do.
 */
export function insides(status: number, text: string): string | null {
  const [code] = /node_modules|\n\s+at |\.ts:\d/.exec(text) ?? [];
  if (code !== undefined) return code;
  const refused = status >= 400 || /"errors?":["[]/.test(text);
  return (refused && /prisma|PostgreSQL/i.exec(text)?.[0]) || null;
}
