import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { messageProblemsOf } from '../scripts/commit-messages.mjs';
import { projectRoot } from '../src/project-root.ts';

const body = '\n\nTokens in URLs end up in logs.\n';

describe('the check of commit messages', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'latchkey-commits-'));
    mkdirSync(join(folder, 'scripts'));
    cpSync(join(projectRoot, 'scripts/commit-messages.mjs'), join(folder, 'scripts/commit-messages.mjs'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const check = (): string =>
    execFileSync(process.execPath, [join(folder, 'scripts/commit-messages.mjs')], { encoding: 'utf8', stdio: 'pipe' });
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=Test', '-c', 'user.email=test@example.com', ...args], {
      cwd: folder,
      stdio: 'pipe',
    });
  const commit = (message: string) => git('commit', '--quiet', '--allow-empty', '--no-verify', '--message', message);

  it.each([
    `Reject tokens in query strings${body}`,
    `Embed the guide in the server${body}`,
    `${'Reject'.padEnd(72, ' x')}${body}`,
  ])('accepts %j', (message) => {
    expect(messageProblemsOf(message)).toEqual([]);
  });

  it.each([
    [`Reject tokens in query strings`, 'body'],
    [`Reject tokens in query strings\n\n  \n`, 'body'],
    [`Reject tokens in query strings.${body}`, 'period'],
    [`Reject tokens\nin query strings${body}`, 'second line'],
    [`${'Reject'.padEnd(73, ' x')}${body}`, 'characters'],
    [`reject tokens${body}`, 'capital letter'],
    [`fix(tokens): reject tokens${body}`, 'prefix'],
    [`Rejected tokens in query strings${body}`, 'imperative'],
    [`Rejecting tokens in query strings${body}`, 'imperative'],
  ])('reports the problem of %j', (message, problem) => {
    expect(messageProblemsOf(message)).toEqual([expect.stringContaining(problem)]);
  });

  it('says that it does not check sources without a git history, and names each commit with a problem', () => {
    expect(check()).toContain('not checked');
    git('init', '--quiet');
    expect(check()).toContain('not checked');
    commit(`Reject tokens in query strings${body}`);
    expect(check()).toContain('1 commits');
    commit('Fixed.');
    expect(check).toThrow(/"Fixed\.": the subject ends with a period[\s\S]*imperative[\s\S]*body/);
  });
});
