import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { projectRoot } from '../../src/project-root.ts';
import { browserFile, startBrowser } from '../browser.ts';
import { type Kit, startKit, until } from '../kit.ts';
import { blocksOf, fitsOutput, readPage } from '../markdown.ts';

const readme = readPage('examples/README.md');
const blocks = blocksOf(readme);

/** The commands of the README with the output that it shows behind each. */
const commands = blocks.flatMap((block, index) =>
  block.language === 'sh' ? [{ command: block.text, output: blocks[index + 1]?.text ?? '' }] : [],
);

const hasPython = spawnSync('python3', ['--version']).status === 0;

describe('examples/', { timeout: 60_000 }, () => {
  let kit: Kit;
  beforeAll(async () => {
    kit = await startKit();
  });
  afterAll(() => kit.close());

  async function run(command: string): Promise<{ code: number; out: string; err: string }> {
    const child = spawn('bash', ['-c', command], {
      cwd: projectRoot,
      env: { PATH: process.env.PATH, HOME: process.env.HOME, KEY: kit.keys.ADMIN, LATCHKEY_URL: kit.url },
    });
    let [out, err] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text) => (out += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (err += text));
    const [code] = await once(child, 'close');
    return { code, out, err };
  }

  it('describes every example in its README', () => {
    const files = readdirSync(join(projectRoot, 'examples')).filter((name) => name !== 'README.md');
    for (const file of files) expect(readme).toContain(`[${file}](${file})`);
    const programs = files.filter((file) => !file.endsWith('.html'));
    expect(commands.map(({ command }) => /examples\/(\S+)/.exec(command)?.[1]).sort()).toEqual(programs.sort());
  });

  for (const { command, output } of commands) {
    const isMissing = command.startsWith('python3') && !hasPython;
    it.skipIf(isMissing)(`prints the documented output for "${command}"`, async () => {
      const { code, out, err } = await run(command);
      expect([code, err]).toEqual([0, '']);
      expect([fitsOutput(output, out.trim()), out.trim()]).toEqual([true, out.trim()]);
    });

    it.skipIf(isMissing)(`names the reason when the key of "${command}" does not work`, async () => {
      const { code, err } = await run(`KEY=on_invalid; ${command}`);
      expect(code).not.toBe(0);
      expect(err).toMatch(/UNAUTHENTICATED|\b40[13]\b/);
    });
  }

  it.skipIf(!hasPython)('leaves no key of the Python example on the server', async () => {
    await run('python3 examples/graphql.py');
    const { data } = await kit.gql('{ apiKeys(filter: { search: "Python example" }) { totalCount } }');
    expect(data).toEqual({ apiKeys: { totalCount: 0 } });
  });
});

describe.skipIf(browserFile === undefined)('examples/widget.html', () => {
  let kit: Kit;
  let site: Server;
  beforeAll(async () => {
    kit = await startKit({ scripted: true });
  });
  afterAll(async () => {
    site?.close();
    await kit.close();
  });

  it('shows the streamed answer as text on a page of another origin', async () => {
    let page = '';
    site = createServer((_request, response) => response.setHeader('content-type', 'text/html').end(page));
    await once(site.listen(0, '127.0.0.1'), 'listening');
    const origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
    const { body } = await kit.rest('POST', '/api/v1/embed/new', {
      body: { workspace_slug: 'default', chat_mode: 'chat', allowlist_domains: origin },
    });
    page = readFileSync(join(projectRoot, 'examples/widget.html'), 'utf8')
      .replace(/data-server="[^"]*"/, `data-server="${kit.url}"`)
      .replace(/data-widget="[^"]*"/, `data-widget="${body.embed.uuid}"`);
    kit.model.script({ text: ['The <b>oven</b> ', 'is hot.'] });

    const browser = await startBrowser();
    try {
      const tab = await browser.newTab();
      await tab.open(`${origin}/`);
      await tab.evaluate("document.querySelector('input').focus()");
      await tab.type('How hot is the oven?');
      await tab.click('button');
      await until(() => tab.evaluate("document.querySelector('[data-complete]') !== null"));
      expect(
        await tab.evaluate("[...document.querySelectorAll('#chat p')].map(({ textContent }) => textContent)"),
      ).toEqual(['You: How hot is the oven?', 'The <b>oven</b> is hot.']);
    } finally {
      await browser.close();
    }
  }, 120_000);
});
