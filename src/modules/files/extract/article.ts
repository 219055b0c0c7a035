import { Readability } from '@mozilla/readability';
import { parseHTML } from 'linkedom';
import { checkDepth, textOfHtml } from './html.ts';

/**
 * The main text of a web page as Markdown, under its title as a heading: without menus, asides and the like, where it
 * can be told from them, or else all of the page. Nothing is fetched, and no script runs. Throws UnreadableError for a
 * page with elements more than 512 deep.
 */
export function textOfArticle(page: string): string {
  checkDepth(page);
  const { document } = parseHTML(page);
  // What has no element is no document to the parser.
  const isPage = document.documentElement !== null;
  const title = isPage ? document.title : '';
  const article = isPage ? new Readability(document).parse() : null;
  const text = textOfHtml(article?.content || withoutTitle(page));
  const heading = (article?.title || title).replace(/\s+/g, ' ').trim();
  return heading === '' || text === '' ? text : `# ${heading}\n\n${text}`;
}

/** A page without its first title. One look from there on, since a page may begin a million of them and end none. */
function withoutTitle(page: string): string {
  const start = page.search(/<title\b/i);
  if (start < 0) return page;
  const end = /<\/title>/gi;
  end.lastIndex = start;
  return end.test(page) ? page.slice(0, start) + page.slice(end.lastIndex) : page;
}
