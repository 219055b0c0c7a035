// Converts a Markdown file to the HTML of a page of the documentation.
import { Marked, Renderer } from 'marked';

/**
 * @typedef {{ id: string, title: string, level: number }} Heading
 * @typedef {{ title: string, headings: Heading[], html: string }} Parsed `headings` are those of levels 2 and 3.
 * @typedef {{ navigation: { title: string, pages: { path: string, title: string }[] }[], stylesheet: string }} Site
 */

const escapeHtml = (text) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** Returns the text of inline tokens without markup. */
const plain = (tokens) => tokens.map((token) => (token.tokens ? plain(token.tokens) : token.text)).join('');

/** Returns whether a block is a list of links to headings of its page, which the table of contents replaces. */
const isContents = (token) =>
  token.type === 'list' && token.items.every(({ text }) => /^\[[^\]]+\]\(#[^)]+\)$/.test(text.trim()));

const isContentsHeading = (token) => token?.type === 'heading' && token.text === 'Contents';

/** Returns a function that derives the anchor of a heading as GitHub does: repeated ones get a number. */
function createAnchors() {
  const seen = new Map();
  return (heading) => {
    const slug = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-');
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    return count === 0 ? slug : `${slug}-${count}`;
  };
}

/**
 * Parses a page. Comments are left out, and so is the list of its own sections, since every page has a table of contents.
 *
 * @param {string} markdown
 * @param {(href: string) => string} link converts the target of a link or image
 * @returns {Parsed}
 */
export function parse(markdown, link) {
  const marked = new Marked({ gfm: true });
  const anchor = createAnchors();
  /** @type {Heading[]} */
  const headings = [];
  let title = '';
  const base = new Renderer();
  marked.use({
    renderer: {
      heading({ tokens, depth }) {
        const content = this.parser.parseInline(tokens);
        const text = plain(tokens);
        const id = anchor(text);
        if (depth === 1) {
          title = text;
          return `<h1 id="${id}">${content}</h1>\n`;
        }
        if (depth <= 3) headings.push({ id, title: text, level: depth });
        return `<h${depth} id="${id}">${content} <a class="anchor" href="#${id}" aria-hidden="true" tabindex="-1">#</a></h${depth}>\n`;
      },
      code: ({ text, lang }) =>
        `<pre tabindex="0"><code${lang ? ` class="language-${escapeHtml(lang)}"` : ''}>${escapeHtml(text)}\n</code></pre>\n`,
      table(token) {
        base.parser = this.parser;
        return `<div class="table" role="group" aria-label="Table" tabindex="0">${base.table(token)}</div>\n`;
      },
      html: ({ text }) => text.replace(/<!--[\s\S]*?-->/g, ''),
    },
    walkTokens(token) {
      if (token.type === 'link' || token.type === 'image') token.href = link(token.href);
    },
  });
  const tokens = marked.lexer(markdown);
  const kept = tokens.filter((token) => !isContents(token) && !isContentsHeading(token));
  // `walkTokens` is called by `parse` only.
  marked.walkTokens(kept, marked.defaults.walkTokens);
  const html = marked.parser(kept);
  return { title, headings, html };
}

const contentsList = (headings) =>
  `<ul>${headings
    .map(({ id, title, level }) => `<li class="level-${level}"><a href="#${id}">${escapeHtml(title)}</a></li>`)
    .join('')}</ul>`;

const navigationList = ({ navigation }, section) =>
  navigation
    .map(
      ({ title, pages }) =>
        `<p>${escapeHtml(title)}</p>\n<ul>${pages
          .map(
            ({ path, title: name }) =>
              `<li><a href="${path}"${path === section ? ' aria-current="page"' : ''}>${escapeHtml(name)}</a></li>`,
          )
          .join('')}</ul>`,
    )
    .join('\n');

/** @param {Site} site */
const layout = (site, { title, section, content, contents = '' }) => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<link rel="icon" href="data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 100 100'><text y='.9em' font-size='90'>🔑</text></svg>">
<link rel="stylesheet" href="${site.stylesheet}">
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header>
<button type="button" popovertarget="navigation">Menu</button>
<a class="brand" href="/docs">Latchkey documentation</a>
<nav aria-label="Server"><a href="/">Home</a> <a href="/graphql">GraphiQL</a> <a href="/api/docs">REST API</a></nav>
</header>
<nav id="navigation" popover aria-label="Documentation">
${navigationList(site, section)}
</nav>
<main id="content" tabindex="-1">
${content}
</main>
${contents}
</body>
</html>
`;

/**
 * Returns the HTML of a page.
 *
 * @param {Parsed & { path: string, section: string }} page `section` is the path of its entry in the navigation
 * @param {Site} site
 */
export function documentPage({ title, headings, html, path, section }, site) {
  const list = headings.length > 1 ? contentsList(headings) : '';
  // A narrow page has the table of contents before the text, where it can be opened.
  const inline = list && `<details class="contents"><summary>On this page</summary>${list}</details>\n`;
  return layout(site, {
    title: path === '/docs' ? 'Latchkey documentation' : `${title} – Latchkey`,
    section,
    content: html.replace('</h1>\n', `</h1>\n${inline}`),
    contents: list && `<nav class="contents" aria-label="On this page"><p>On this page</p>${list}</nav>`,
  });
}

/**
 * Returns a page that consists of a title and a sentence.
 *
 * @param {string} title
 * @param {string} text
 * @param {Site} site
 */
export const messagePage = (title, text, site) =>
  layout(site, {
    title: `${title} – Latchkey`,
    section: '',
    content: `<h1>${escapeHtml(title)}</h1>\n<p>${escapeHtml(text)}</p>\n<p><a href="/docs">Overview of the documentation</a></p>`,
  });
