import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { documentationPages } from '../src/documentation.ts';
import { projectRoot } from '../src/project-root.ts';

/** A fenced block of a page. */
export interface Block {
  language: string;
  text: string;
  line: number;
  /** The reason of the comment `<!-- not run: … -->` directly above the block. */
  notRun: string | undefined;
}

const decisions = join(projectRoot, 'docs/decisions');

/** The paths of all pages of the documentation, relative to the root of the project. */
export const pages: string[] = [
  ...['README.md', 'ARCHITECTURE.md', 'SECURITY.md', 'CONTRIBUTING.md', 'CHANGELOG.md'],
  'examples/README.md',
  ...documentationPages(projectRoot),
  ...(existsSync(decisions) ? readdirSync(decisions) : [])
    .filter((name) => name.endsWith('.md'))
    .sort()
    .map((name) => `docs/decisions/${name}`),
];

export const readPage = (page: string): string => readFileSync(join(projectRoot, page), 'utf8');

/** Returns the fenced blocks of a page in their order. */
export function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  const lines = markdown.split('\n');
  for (let start = 0; start < lines.length; start++) {
    const language = /^```(\w*)$/.exec(lines[start] ?? '')?.[1];
    if (language === undefined) continue;
    const end = lines.indexOf('```', start + 1);
    if (end < 0) throw new Error(`line ${start + 1}: the block has no end`);
    const notRun = /^<!-- not run: (\S.*) -->$/.exec(lines[start - 1] ?? '')?.[1];
    blocks.push({ language, text: lines.slice(start + 1, end).join('\n'), line: start + 1, notRun });
    start = end;
  }
  return blocks;
}

/** Returns the text of a page without its fenced blocks and comments. */
export const proseOf = (markdown: string): string =>
  markdown.replace(/^```[\s\S]*?^```$/gm, '').replace(/<!--[\s\S]*?-->/g, '');

/** Returns the anchors of the headings of a page, as GitHub derives them. */
export function anchorsOf(markdown: string): Set<string> {
  const seen = new Map<string, number>();
  const anchors = new Set<string>();
  for (const [, heading = ''] of proseOf(markdown).matchAll(/^#+ (.+)$/gm)) {
    const slug = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-');
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    anchors.add(count === 0 ? slug : `${slug}-${count}`);
  }
  return anchors;
}

/**
 * Returns whether a text has the documented form, in which `…` stands for any text. The numbers of citations depend on
 * the other pages that the search finds.
 */
export const fitsOutput = (pattern: string, text: string): boolean =>
  new RegExp(
    `^${pattern
      .split('…')
      .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/\d+(?=\\\]\\\])/g, '\\d+'))
      .join('[^]*')}$`,
  ).test(text);
