import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { projectRoot } from '../../src/project-root.ts';
import { type Kit, startKit } from '../kit.ts';
import { type Block, blocksOf, fitsOutput, pages, readPage } from '../markdown.ts';

/** The address in the documentation. */
const documented = 'http://127.0.0.1:4000';

/** A block that is run, with the block behind it that shows its output. */
interface Command {
  block: Block;
  output: Block | undefined;
}

const runnable = new Set(['sh', 'graphql', 'js', 'ts']);
const outputs = new Set(['json', 'text']);

function commandsOf(page: string): Command[] {
  const blocks = blocksOf(readPage(page));
  return blocks.flatMap((block, index) => {
    if (!runnable.has(block.language) || block.notRun) return [];
    const next = blocks[index + 1];
    return [{ block, output: next && outputs.has(next.language) ? next : undefined }];
  });
}

/**
 * Returns the first difference between a documented JSON value and the one that was returned, or null. A documented
 * object can omit properties; IDs differ between servers.
 */
function difference(documentedValue: unknown, returned: unknown, path = '$'): string | null {
  if (typeof documentedValue === 'string' && typeof returned === 'string')
    return fitsOutput(documentedValue, returned) ? null : `${path}: ${returned}`;
  if (typeof documentedValue === 'number' && typeof returned === 'number' && /id$/i.test(path)) return null;
  if (Array.isArray(documentedValue)) {
    if (!Array.isArray(returned) || returned.length !== documentedValue.length) return `${path}: ${typeof returned}`;
    for (const [index, item] of documentedValue.entries()) {
      const found = difference(item, returned[index], `${path}[${index}]`);
      if (found) return found;
    }
    return null;
  }
  if (documentedValue !== null && typeof documentedValue === 'object') {
    if (returned === null || typeof returned !== 'object') return `${path}: ${String(returned)}`;
    for (const [key, value] of Object.entries(documentedValue)) {
      const found = difference(value, (returned as Record<string, unknown>)[key], `${path}.${key}`);
      if (found) return found;
    }
    return null;
  }
  return documentedValue === returned ? null : `${path}: ${String(returned)}`;
}

/** Connects to the test server instead of the documented port, in programs that the documentation shows. */
const redirect = (port: string) => `
import net from 'node:net';
const { connect } = net.Socket.prototype;
net.Socket.prototype.connect = function (...args) {
  const options = Array.isArray(args[0]) ? args[0][0] : args[0];
  if (options && Number(options.port) === 4000) options.port = ${port};
  return connect.apply(this, args);
};`;

/** One page in its own folder: the shell keeps its variables from one block to the next. */
class Session {
  private readonly folder = mkdtempSync(join(tmpdir(), 'latchkey-docs-'));
  private readonly programs = mkdtempSync(join(projectRoot, 'node_modules/.docs-'));
  private readonly environment: NodeJS.ProcessEnv;

  constructor(
    private readonly kit: Kit,
    setsKey: boolean,
  ) {
    const { port } = new URL(kit.url);
    mkdirSync(join(this.folder, 'data'));
    writeFileSync(join(this.folder, 'data/first-admin-key'), `${kit.keys.ADMIN}\n`);
    copyFileSync(join(projectRoot, 'README.md'), join(this.folder, 'README.md'));
    // curl writes the status of each request to standard error.
    writeFileSync(
      join(this.folder, '.curlrc'),
      `connect-to = "127.0.0.1:4000:127.0.0.1:${port}"\nwrite-out = "%{stderr}curl-status %{http_code}\\n"\n`,
    );
    writeFileSync(join(this.programs, 'redirect.mjs'), redirect(port));
    writeFileSync(join(this.folder, '.variables'), setsKey ? '' : `export KEY=${kit.keys.ADMIN}\n`);
    this.environment = { PATH: process.env.PATH, HOME: this.folder, CURL_HOME: this.folder, LANG: 'C.UTF-8' };
  }

  close(): void {
    rmSync(this.folder, { recursive: true, force: true });
    rmSync(this.programs, { recursive: true, force: true });
  }

  private run(
    file: string,
    args: string[],
    more: NodeJS.ProcessEnv = {},
  ): Promise<{ code: number; out: string; err: string }> {
    const child = spawn(file, args, { cwd: this.folder, env: { ...this.environment, ...more } });
    let out = '';
    let err = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (out += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (err += text));
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve({ code: code ?? 1, out, err }));
    });
  }

  /** Runs a block and returns its standard output and the statuses of its requests. */
  async execute({ language, text }: Block): Promise<{ out: string; statuses: number[] }> {
    if (language === 'graphql') {
      const response = await fetch(`${this.kit.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${this.kit.keys.ADMIN}` },
        body: JSON.stringify({ query: text }),
      });
      return { out: await response.text(), statuses: [response.status] };
    }
    const { code, out, err } = language === 'sh' ? await this.shell(text) : await this.program(language, text);
    const statuses = [...err.matchAll(/curl-status (\d+)\n/g)].map(([, status]) => Number(status));
    expect([code, err.replace(/curl-status \d+\n/g, '')]).toEqual([0, '']);
    return { out, statuses };
  }

  private shell(text: string) {
    const script = `set -euo pipefail\n. ./.variables\n${text}\nexport -p > .variables`;
    return this.run('bash', ['--noprofile', '--norc', '-c', script]);
  }

  private program(language: string, text: string) {
    const file = join(this.programs, `program.${language === 'js' ? 'mjs' : 'mts'}`);
    writeFileSync(file, text);
    return this.run(process.execPath, ['--import', join(projectRoot, 'node_modules/tsx/dist/esm/index.mjs'), file], {
      NODE_OPTIONS: `--import ${join(this.programs, 'redirect.mjs')}`,
      KEY: this.kit.keys.ADMIN,
    });
  }
}

/** Returns the errors of a GraphQL response, of an event stream too. */
const graphqlErrors = (out: string): string | undefined => /"errors":\[.*/.exec(out)?.[0];

/** The pages for users. Those for contributors show commands of the repository. */
const userPages = pages.filter((page) => /^(README|docs\/.+)\.md$/.test(page));
const withCommands = userPages.filter((page) => commandsOf(page).length > 0);

/** The commands that the pages mark as not run, so that the report of the tests names them. */
const notRun = userPages.flatMap((page) =>
  blocksOf(readPage(page)).flatMap(({ notRun: reason, line }) => (reason ? [{ page, line, reason }] : [])),
);
it.skip.each(notRun)('$page: the command at line $line $reason', () => {});

describe.each(withCommands)('%s', { timeout: 60_000 }, (page) => {
  const setsKey = readPage(page).includes('export KEY=$(');
  let kit: Kit;
  let session: Session;

  beforeAll(async () => {
    kit = await startKit({ environment: { PUBLIC_URL: documented } });
    session = new Session(kit, setsKey);
  }, 60_000);
  afterAll(async () => {
    session?.close();
    await kit?.close();
  });

  it.each(commandsOf(page).map((command) => [command.block.line, command] as const))(
    'the command at line %i works as documented',
    async (_line, { block, output }) => {
      const { out, statuses } = await session.execute(block);
      if (!output) {
        expect(statuses.filter((status) => status >= 400)).toEqual([]);
        expect(graphqlErrors(out)).toBeUndefined();
        expect(out.trim()).not.toBe('undefined');
      } else if (output.language === 'text') {
        expect([fitsOutput(output.text, out.trim()), out.trim()]).toEqual([true, out.trim()]);
      } else {
        expect(difference(JSON.parse(output.text), JSON.parse(out))).toBeNull();
      }
    },
  );
});
