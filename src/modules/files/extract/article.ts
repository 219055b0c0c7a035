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
  const title = document.documentElement === null ? '' : document.title;
  const article = document.documentElement === null ? null : new Readability(document).parse();
  const text = textOfHtml(article?.content || page);
  const heading = oneLine(article?.title || title);
  return heading === '' || text === '' ? text : `# ${heading}\n\n${text}`;
}

const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim();
