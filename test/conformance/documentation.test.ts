import { existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { projectRoot } from '../../src/project-root.ts';
import { readSettings, settingNames } from '../../src/settings.ts';
import { anchorsOf, blocksOf, pages, proseOf, readPage } from '../markdown.ts';

/** Returns the links of a page that do not start with a scheme. */
const relativeLinks = (page: string): string[] =>
  [
    ...proseOf(readPage(page))
      .replace(/`[^`\n]*`/g, '')
      .matchAll(/\]\(([^)\s]+)\)/g),
  ]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target));

function isBroken(page: string, link: string): boolean {
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? page : normalize(join(dirname(page), path));
  if (!existsSync(join(projectRoot, target))) return true;
  return anchor !== undefined && !anchorsOf(readPage(target)).has(anchor);
}

/** The languages of blocks that show the configuration of other programs. */
const configuration = ['json5', 'ini', 'nginx', 'caddyfile', 'diff', 'html'];

describe('the documentation', () => {
  it.each(pages)('%s has one title and no broken relative link', (page) => {
    expect([...proseOf(readPage(page)).matchAll(/^# .+$/gm)]).toHaveLength(1);
    expect(relativeLinks(page).filter((link) => isBroken(page, link))).toEqual([]);
  });

  it('has a README of at most 200 lines that links to every page in docs/', () => {
    expect(readPage('README.md').trimEnd().split('\n').length).toBeLessThanOrEqual(200);
    const links = relativeLinks('README.md');
    for (const page of pages.filter((name) => /^docs\/[^/]+$/.test(name))) expect(links).toContain(page);
  });

  it('contains no blocks but those that are run, that show an output, or that are configuration', () => {
    const known = ['sh', 'graphql', 'js', 'ts', 'json', 'text', ...configuration];
    const unknown = pages.flatMap((page) =>
      blocksOf(readPage(page))
        .filter(({ language }) => !known.includes(language))
        .map(({ language, line }) => `${page}:${line} ${language}`),
    );
    expect(unknown).toEqual([]);
  });

  it('has no command in a block of configuration, which is not run', () => {
    const command = /^\s*(\$ )?(curl|npm|npx|node|docker|git|psql|pg_\w+|helm|kubectl|python3?|tar|cp|export) /m;
    const hidden = pages.flatMap((page) =>
      blocksOf(readPage(page))
        .filter(({ language, text }) => configuration.includes(language) && command.test(text))
        .map(({ line }) => `${page}:${line}`),
    );
    expect(hidden).toEqual([]);
  });

  it('has the comment "not run" only directly above a block, and only for these commands', () => {
    const skipped = pages.flatMap((page) =>
      blocksOf(readPage(page)).flatMap(({ notRun }) => (notRun === undefined ? [] : [`${page}: ${notRun}`])),
    );
    const comments = pages.flatMap((page) => [...readPage(page).matchAll(/^<!-- not run/gm)]);
    expect(comments).toHaveLength(skipped.length);
    expect(skipped).toEqual([
      'README.md: starts a server and runs the tests',
      'README.md: needs a model server',
      'docs/chat-engine.md: needs a model server or an account',
      'docs/deployment.md: starts a server in the foreground',
      'docs/deployment.md: needs a container engine',
      'docs/deployment.md: runs in the project folder',
      'docs/deployment.md: needs a container engine',
      'docs/deployment.md: needs a cluster',
      'docs/deployment.md: needs the settings of a server',
      'docs/deployment.md: needs the settings of a server',
      'docs/deployment.md: needs a container engine',
      'docs/graphql.md: installs packages from the network',
      'docs/migrating.md: needs the storage folder of an AnythingLLM installation',
      'docs/migrating.md: needs an Onyx server',
      'docs/quickstart.md: starts a server in the foreground',
      'docs/quickstart.md: each server creates its own key',
      'docs/quickstart.md: needs a model server',
    ]);
  });
});

describe('docs/settings.md', () => {
  const rows = [...readPage('docs/settings.md').matchAll(/^\| `([A-Z0-9_]+)` *\|(.*?)\|(.*)\|$/gm)].map(
    ([, name = '', fallback = '', description = '']) => ({
      name,
      fallback: fallback.trim(),
      description: description.trim(),
    }),
  );

  it('describes every setting once', () => {
    expect(rows.map(({ name }) => name).sort()).toEqual([...settingNames].sort());
    expect(rows.filter(({ description }) => description.split(' ').length < 3)).toEqual([]);
  });

  it('states the defaults that the server uses', () => {
    const defaults = rows.flatMap(({ name, fallback }) => {
      const value = /^`([^`]+)`$/.exec(fallback)?.[1];
      return value === undefined || name === 'PUBLIC_URL' ? [] : [{ name, value }];
    });
    expect(defaults.length).toBeGreaterThan(10);
    for (const { name, value } of defaults)
      expect([name, readSettings({ [name]: value })]).toEqual([name, readSettings({})]);
  });
});
