import { Readability } from '@mozilla/readability';
import { parseHTML } from 'linkedom';
import { checkDepth, textOfHtml } from './html.ts';

/**
 * Returns the main content of a web page as Markdown under its title, without navigation and asides where they can be
 * recognized, otherwise the whole page. Never fetches a resource or runs a script. Throws UnreadableError for elements
 * nested more than 512 deep.
 */
export function textOfArticle(page: string): string {
  checkDepth(page);
  const { document } = parseHTML(page);
  // The parser returns no document for a text without elements.
  const isPage = document.documentElement !== null;
  const title = isPage ? document.title : '';
  const article = isPage ? new Readability(document).parse() : null;
  const text = textOfHtml(article?.content || withoutTitle(page));
  const heading = (article?.title || title).replace(/\s+/g, ' ').trim();
  return heading === '' || text === '' ? text : `# ${heading}\n\n${text}`;
}

/** Returns a page without its first title. Scans once, since a page can open a million titles and close none. */
function withoutTitle(page: string): string {
  const start = page.search(/<title\b/i);
  if (start < 0) return page;
  const end = /<\/title>/gi;
  end.lastIndex = start;
  return end.test(page) ? page.slice(0, start) + page.slice(end.lastIndex) : page;
}
