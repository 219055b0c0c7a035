// Builds the pages of the documentation into dist/docs: HTML from the Markdown files of the repository, so that the
// server needs no Markdown parser at run time. Fails when a page is not in the navigation or a link leads nowhere.
//
// usage: node scripts/docs.mjs
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { documentPage, messagePage, parse } from './docs-page.mjs';
import { contentHash, replaceFolder, writeCompressed } from './web-files.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const read = (file) => readFileSync(join(root, file), 'utf8');

const filesIn = (folder, pattern) =>
  (existsSync(join(root, folder)) ? readdirSync(join(root, folder)) : [])
    .filter((name) => pattern.test(name))
    .sort()
    .map((name) => `${folder}/${name}`);

const decisions = filesIn('docs/decisions', /\.md$/);
const images = filesIn('docs/images', /\.svg$/);

/** The index of the decision records, which is generated. */
const decisionIndex = 'docs/decisions';

/** The pages in the order of the navigation, in groups. */
const groups = [
  { title: 'Get started', files: ['README.md', 'docs/quickstart.md', 'examples/README.md'] },
  {
    title: 'Guides',
    files: [
      'docs/keys-and-permissions.md',
      'docs/chat-engine.md',
      'docs/search.md',
      'docs/graphql.md',
      'docs/widget.md',
    ],
  },
  {
    title: 'Existing clients',
    files: ['docs/onyx.md', 'docs/anythingllm.md', 'docs/openai.md', 'docs/migrating.md'],
  },
  {
    title: 'Operation',
    files: ['docs/deployment.md', 'docs/scaling.md', 'docs/observability.md', 'docs/settings.md', 'SECURITY.md'],
  },
  { title: 'Reference', files: ['docs/errors.md', 'schema/permissions.md', 'schema/parameters.md', 'CHANGELOG.md'] },
  { title: 'Development', files: ['ARCHITECTURE.md', decisionIndex, 'CONTRIBUTING.md'] },
];

/** Returns the path at which a page is served: `/docs/search` for `docs/search.md`, `/docs` for `README.md`. */
function pathOf(file) {
  if (file === 'README.md') return '/docs';
  const name = file.replace(/(\/README)?\.md$/, '').replace(/^(docs|schema)\//, '');
  return `/docs/${name.includes('/') ? name : name.toLowerCase()}`;
}

/** Files and folders that are not pages, with the path at which the server has them. */
const otherPaths = {
  LICENSE: '/guide/LICENSE',
  schema: '/guide/schema.graphql',
  'schema/schema.graphql': '/guide/schema.graphql',
  'schema/openapi.json': '/api/openapi.json',
  examples: '/docs/examples',
  ...Object.fromEntries(filesIn('examples', /(?<!\.md)$/).map((file) => [file, `/guide/${file}`])),
  ...Object.fromEntries(images.map((file) => [file, `/${file}`])),
};

const pages = new Map(
  [...groups.flatMap(({ files }) => files), ...decisions].map((file) => [file, { path: pathOf(file), file }]),
);
for (const file of filesIn('docs', /\.md$/))
  if (!pages.has(file)) throw new Error(`${file} is not in the navigation of scripts/docs.mjs`);

/** Returns a function that converts the links of a page. A link to another site is unchanged. */
const linksFrom = (file) => (href) => {
  if (/^[a-z]+:/i.test(href) || href.startsWith('#')) return href;
  const [target = '', anchor] = href.split('#');
  const wanted = posix.join(file === decisionIndex ? file : posix.dirname(file), target).replace(/\/$/, '');
  const path = pages.get(wanted)?.path ?? otherPaths[wanted];
  if (path === undefined) throw new Error(`${file} links to ${href}, which is not served`);
  return anchor === undefined ? path : `${path}#${anchor}`;
};

/** Returns the page that lists the decision records, as Markdown. */
const decisionList = () => {
  const rows = decisions.map((file) => {
    const [, number = '', title = ''] = /^# (\d+)\. (.+)$/m.exec(read(file)) ?? [];
    const date = /^Date: (.+)$/m.exec(read(file))?.[1] ?? '';
    return `| ${number} | [${title}](${posix.basename(file)}) | ${date} |`;
  });
  return `# Decision records\n\nEach record has the context, the decision and its consequences.\n\n| number | decision | date |\n| --- | --- | --- |\n${rows.join('\n')}\n`;
};

for (const page of pages.values()) {
  const markdown = page.file === decisionIndex ? decisionList() : read(page.file);
  Object.assign(page, parse(markdown, linksFrom(page.file)));
}

const navigation = groups.map(({ title, files }) => ({
  title,
  pages: files.map((file) => {
    const { path, title: name } = pages.get(file);
    return { path, title: file === 'README.md' ? 'Overview' : name };
  }),
}));

replaceFolder(join(root, 'dist', 'docs'), (folder) => {
  const { 'docs.css': stylesheet } = JSON.parse(readFileSync(join(root, 'dist/pages/manifest.json'), 'utf8'));
  const site = { navigation, stylesheet: `/assets/${stylesheet}` };
  const write = (file, type, content) => {
    const bytes = Buffer.from(content);
    writeCompressed(join(folder, file), bytes);
    return { file, type, hash: contentHash(bytes) };
  };
  const page = (name, html) => write(`${name}.html`, 'text/html; charset=utf-8', html);
  const served = {};
  for (const each of pages.values()) {
    const name = each.path.slice(1).replaceAll('/', '-');
    const section = decisions.includes(each.file) ? pathOf(decisionIndex) : each.path;
    served[each.path] = page(name, documentPage({ ...each, section }, site));
  }
  for (const file of images)
    served[`/${file}`] = write(posix.basename(file), 'image/svg+xml; charset=utf-8', read(file));
  return {
    served,
    notFound: page('404', messagePage('Page not found', 'The documentation has no page at this address.', site)),
    methodNotAllowed: page('405', messagePage('Method not allowed', 'Pages are read with GET or HEAD.', site)),
  };
});
