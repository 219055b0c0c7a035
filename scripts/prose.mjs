// Checks the language of comments, GraphQL and OpenAPI descriptions and Markdown files: at most `limit` discouraged
// constructions per 1,000 words in each folder, and no description of three words or fewer.
//
// usage: node scripts/prose.mjs [--list]   --list prints every finding of the groups that exceed the limit, and all rates
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Maximum number of findings per 1,000 words in a group. */
const limit = 3;

/** The highest number of words of a description that is too short. */
const shortWords = 3;

/** A smaller group counts as this many words, so that one finding does not exceed the limit. */
const leastWords = 1000;

/**
 * Groups that exceed the limit today, with their rate as a ceiling. Lower a ceiling when the text improves, and delete
 * it at 3 or less.
 *
 * @type {Record<string, number>}
 */
const ceilings = {};

/** @type {readonly import('./prose.mjs').Construction[]} */
export const constructions = [
  {
    name: 'noun phrase with what',
    pattern:
      /\bwhat (is|was|has|are|were|had|comes?|came|stands?|it|they|one|belongs?|becomes?|became|follows?|goes)\b/gi,
    instead: 'name the thing: "the value that …", "the objects that …"',
  },
  {
    name: 'noun phrase with who',
    pattern: /\b(whoever|whom|who (may|asks|holds|has|is|owns|sends))\b/gi,
    instead: 'name the subject: "the caller", "the owner of the token", "a user with …"',
  },
  {
    name: 'indefinite pronoun',
    pattern: /\b(none|nobody|nothing|somebody|whatever|anybody)\b/gi,
    instead: 'state the fact: "no user", "does not …", "any value"',
  },
  {
    name: 'figurative verb or preposition',
    pattern: /\b(stands?|stood|goes before|go before|is told|are told|beside|by itself|is theirs)\b/gi,
    instead: 'use "is", "precedes", "receives", "in addition to"',
  },
  {
    name: 'possessive paraphrase',
    pattern: /\b(one[’']s|so many|of its own|of their own|strangers?)\b/gi,
    instead: 'use "the caller’s", a number, "its own …", "anonymous client"',
  },
];

/** Returns the discouraged constructions in a text with their replacements. */
export function findings(text) {
  return constructions.flatMap(({ pattern, instead }) =>
    [...text.matchAll(pattern)].map((match) => ({
      text: match[0],
      context: text.slice(Math.max(0, match.index - 40), match.index + 60).replace(/\s+/g, ' '),
      instead,
    })),
  );
}

export const countWords = (text) => (text.match(/\b[\p{L}’'-]+\b/gu) ?? []).length;

/** Returns the comments of a TypeScript or JavaScript source. */
export const commentsOf = (source) => source.match(/\/\*\*?[\s\S]*?\*\/|(?<=^|\s)\/\/[^\n]*/g) ?? [];

/** Returns the descriptions of a schema in SDL. */
export const sdlDescriptionsOf = (sdl) =>
  [...sdl.matchAll(/"""([\s\S]*?)"""/g)].map(([, description]) => description.trim());

/** Returns the descriptions and summaries of an OpenAPI document. Skips the GraphQL documents that it quotes. */
export function openApiDescriptionsOf(value) {
  if (Array.isArray(value)) return value.flatMap(openApiDescriptionsOf);
  if (value === null || typeof value !== 'object') return [];
  return Object.entries(value).flatMap(([key, item]) =>
    (key === 'description' || key === 'summary') && typeof item === 'string'
      ? [item.replace(/```[\s\S]*?```/g, '')]
      : openApiDescriptionsOf(item),
  );
}

/** Returns the text of a Markdown file without code, comments and link targets. */
export const markdownProseOf = (markdown) =>
  markdown
    .replace(/^```[\s\S]*?^```$/gm, '')
    .replace(/<!--[\s\S]*?-->/g, '')
    .replace(/`[^`\n]*`/g, '')
    .replace(/\]\([^)\s]*\)/g, ']');

export const isShort = (description) => (description.match(/\S+/g) ?? []).length <= shortWords;

const rateOf = (texts) => {
  const words = texts.reduce((sum, text) => sum + countWords(text), 0);
  const found = texts.reduce((sum, text) => sum + findings(text).length, 0);
  return (1000 * found) / Math.max(words, leastWords);
};

/** Returns the problem of a group whose rate exceeds its ceiling, or null. */
export function problemOf({ name, texts }, ceiling = limit) {
  const rate = rateOf(texts);
  if (rate <= ceiling) return null;
  return { group: name, message: `${rate.toFixed(1)} findings per 1,000 words; the limit is ${ceiling}` };
}

function* filesIn(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (/^(node_modules|generated|dist|data)$/.test(entry.name)) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesIn(path);
    else yield path;
  }
}

/** Returns the texts of the project in groups: Markdown and comments by folder, and the descriptions of each schema. */
function groups() {
  /** @type {Map<string, string[]>} */
  const texts = new Map();
  const add = (name, more) => texts.set(name, [...(texts.get(name) ?? []), ...more]);
  const read = (path) => readFileSync(join(root, path), 'utf8');
  for (const name of readdirSync(root)) if (name.endsWith('.md')) add('Markdown: .', [markdownProseOf(read(name))]);
  for (const top of ['docs', 'src', 'test', 'scripts']) {
    if (!existsSync(join(root, top))) continue;
    for (const path of filesIn(join(root, top))) {
      const file = relative(root, path);
      const folder = dirname(file);
      if (file.endsWith('.md')) add(`Markdown: ${folder}`, [markdownProseOf(read(file))]);
      else if (/\.(ts|mjs|mts|js)$/.test(file) && !/graphql-env\.d\.ts$/.test(file))
        add(`comments: ${folder}`, commentsOf(read(file)));
    }
  }
  add('GraphQL descriptions', sdlDescriptionsOf(read('schema/schema.graphql')));
  add('OpenAPI descriptions', openApiDescriptionsOf(JSON.parse(read('schema/openapi.json'))));
  return [...texts].map(([name, all]) => ({ name, texts: all })).sort((a, b) => a.name.localeCompare(b.name));
}

function main() {
  const list = process.argv.includes('--list');
  const problems = [];
  for (const group of groups()) {
    const problem = problemOf(group, ceilings[group.name]);
    if (problem) problems.push(problem);
    const rate = rateOf(group.texts);
    if (list) console.log(`${rate.toFixed(1).padStart(6)}  ${group.name}`);
    if (problem || (list && rate > limit))
      for (const text of group.texts)
        for (const { text: found, context, instead } of findings(text))
          console.log(`        ${group.name}: "${found}" in "…${context}…": ${instead}`);
    if (!group.name.endsWith('descriptions')) continue;
    const short = group.texts.filter(isShort);
    if (list) console.log(`${String(short.length).padStart(6)}  ${group.name} of three words or fewer`);
    if (short.length > 0)
      problems.push({
        group: group.name,
        message: `${short.length} descriptions have three words or fewer: ${short.slice(0, 5).join(' | ')}`,
      });
  }
  for (const { group, message } of problems) console.error(`prose: ${group}: ${message}`);
  if (problems.length > 0) process.exit(1);
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) main();
