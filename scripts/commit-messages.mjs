// Checks the messages of the most recent commits: a subject of at most 72 characters that starts with an imperative verb
// and has no trailing period, an empty line, and a body. Merges, and commits that are older than this rule, are not
// checked.
//
// usage: node scripts/commit-messages.mjs
import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Number of commits that are checked. A shallow clone can have fewer. */
const checked = 50;

/** The last commit that is older than the rule. A shallow clone that lacks it has only newer commits. */
const newestUnchecked = '096e4b169bfb46ddf6ee24a7e50ec04fc7983c4d';

/** Maximum length of a subject. Characters. */
const maxSubject = 72;

/** First words that end like another form of a verb but are imperatives. */
const imperatives =
  /^(embed|exceed|feed|heed|need|proceed|seed|shed|shred|speed|spread|succeed|bring|ping|string|swing)$/i;

/**
 * Returns what is wrong with a commit message, one sentence per problem.
 *
 * @param {string} message
 * @returns {string[]}
 */
export function messageProblemsOf(message) {
  const [subject = '', separator, ...body] = message.trimEnd().split('\n');
  const [first = ''] = subject.match(/^[\p{L}-]+/u) ?? [];
  const problems = [];
  const length = [...subject].length;
  if (length > maxSubject) problems.push(`the subject has ${length} characters; the limit is ${maxSubject}`);
  if (subject.endsWith('.')) problems.push('the subject ends with a period');
  if (/^\w+(\([^)]*\))?!?:/.test(subject)) problems.push('the subject starts with a prefix');
  else if (!/^\p{Lu}/u.test(subject)) problems.push('the subject does not start with a capital letter');
  else if (/(ed|ing)$/.test(first) && !imperatives.test(first))
    problems.push(`the subject starts with "${first}" instead of an imperative`);
  if (separator) problems.push('the second line is not empty');
  if (body.join('').trim() === '') problems.push('the body, which explains the reason, is missing');
  return problems;
}

/** Returns the output of git, or null if git is not installed or `root` is not the top of a repository with a commit. */
function git(...args) {
  try {
    return execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return null;
  }
}

function check() {
  // The sources may be unpacked inside the repository of another project, whose commits are not checked.
  const isTop = git('rev-parse', '--show-cdup')?.trim() === '';
  const isBase = isTop && git('merge-base', '--is-ancestor', newestUnchecked, 'HEAD') !== null;
  const range = isBase ? `${newestUnchecked}..HEAD` : 'HEAD';
  const log = isTop ? git('log', '-z', '--no-merges', `--max-count=${checked}`, '--format=%h%n%B', range) : null;
  if (log === null) {
    console.log('commit messages: not checked, because there is no git history');
    return;
  }
  const commits = log.split('\0').filter((entry) => entry.trim() !== '');
  let failed = false;
  for (const commit of commits) {
    const [hash = '', ...lines] = commit.split('\n');
    for (const problem of messageProblemsOf(lines.join('\n'))) {
      failed = true;
      console.error(`commit ${hash} "${lines[0]}": ${problem}`);
    }
  }
  if (failed) process.exitCode = 1;
  else console.log(`commit messages: ${commits.length} commits`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) check();
