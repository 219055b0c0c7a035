import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { deflateSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../../../test/kit.ts';
import { createLog } from '../../../log.ts';
import { projectRoot } from '../../../project-root.ts';
import { createExtractor, type Extractor } from './extractor.ts';
import { deflatedZeros, docx, docxWithZeros, encryptedPdf, paragraph, pdf, pdfStream } from './fixtures.ts';

const timeout = 60_000;
const log = createLog('silent');
const text = Buffer.from('some text');
const page = pdf(['A page']);

/** Well-formed, and keeps a reader busy for seconds. */
const long = Buffer.from('<p>one <b>bold</b> word</p>'.repeat(100_000));

/** Keeps a reader busy for minutes with little memory. */
const endless = Buffer.from(`${'<table><tr><td>'.repeat(500)}x${'</table>'.repeat(500)}`.repeat(40));

/** A content stream of a few kilobytes that decompresses twice to a gigabyte. */
const bomb = pdf(['x'], {
  content: pdfStream(deflateSync(deflatedZeros(1024)), '/Filter [/FlateDecode /FlateDecode]'),
});

const open: Extractor[] = [];

function extractor(options: { timeoutMs?: number; memoryMb?: number } = {}): Extractor {
  const made = createExtractor({ log, ...options });
  open.push(made);
  return made;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((made) => made.close()));
});

describe('extracting a file', () => {
  let shared: Extractor;
  beforeAll(() => {
    shared = createExtractor({ log });
  });
  afterAll(() => shared.close());

  it.each([
    ['text', text, 'some text'],
    ['markdown', text, 'some text'],
    ['csv', Buffer.from('a,b'), 'a,b'],
    ['json', Buffer.from('{"a":1}'), '{"a":1}'],
    ['html', Buffer.from('<h1>Title</h1>'), '# Title'],
    ['pdf', page, 'A page'],
    ['docx', docx(paragraph('A paragraph')), 'A paragraph'],
  ] as const)('returns the text of %s', async (format, bytes, expected) => {
    expect(await shared.extract(format, bytes)).toEqual({ text: expected });
  });

  it('leaves the caller’s buffer unchanged', async () => {
    const within = Buffer.concat([Buffer.from('before'), text, Buffer.from('after')]).subarray(6, 6 + text.length);
    expect(await shared.extract('text', within)).toEqual({ text: 'some text' });
    expect(within.toString()).toBe('some text');
  });

  it.each([
    ['json', Buffer.from('{'), 'is not valid JSON'],
    ['text', Buffer.alloc(2_000_001, 'x'), 'has more than 2,000,000 characters of text'],
    ['pdf', encryptedPdf(), 'is encrypted'],
    ['pdf', pdf(['']), 'contains no readable text'],
    ['pdf', pdf(Array(5000).fill('x')), 'has more than 1,000 pages'],
    ['pdf', Buffer.from('%PDF-1.7'), 'could not be read'],
    ['docx', Buffer.from('PK\x03\x04'), 'could not be read'],
    ['docx', docx('<w:p>'), 'could not be read'],
    ['docx', docxWithZeros('word/document.xml', 200), 'is too large when unpacked'],
    ['docx', docxWithZeros('word/document.xml', 200, 1000), 'could not be read'],
    ['docx', docx('<w:tbl><w:tr><w:tc>'.repeat(100_000)), 'could not be read'],
    [
      'docx',
      docx(`${'<w:tbl><w:tr><w:tc>'.repeat(30_000)}${'</w:tc></w:tr></w:tbl>'.repeat(30_000)}`),
      'is nested too deeply',
    ],
    ['html', Buffer.from('<div>'.repeat(100_000)), 'is nested too deeply'],
    ['html', Buffer.from('<table><tr><td>'.repeat(100_000)), 'is nested too deeply'],
  ] as const)(
    'rejects %s with a reason that its owner understands (%#)',
    { timeout },
    async (format, bytes, refused) => {
      expect(await shared.extract(format, bytes)).toEqual({ refused });
    },
  );
});

describe('the limits of the extractor', () => {
  it('reject a file that exhausts the memory, and the next file is read', { timeout }, async () => {
    const reading = extractor();
    expect(await reading.extract('pdf', bomb)).toEqual({ refused: 'needs too much memory' });
    expect(await reading.extract('pdf', page)).toEqual({ text: 'A page' });
  });

  it('reject a file that exhausts the heap, and the next file is read', { timeout }, async () => {
    const reading = extractor({ memoryMb: 128 });
    expect(await reading.extract('html', long)).toEqual({ refused: 'needs too much memory' });
    expect(await reading.extract('html', Buffer.from('<p>short'))).toEqual({ text: 'short' });
  });

  it('reject every file that exceeds the time limit', { timeout }, async () => {
    const reading = extractor({ timeoutMs: 1 });
    const both = [reading.extract('html', long), reading.extract('html', long), reading.extract('html', long)];
    expect(await Promise.all(both)).toEqual(Array(3).fill({ refused: 'could not be read within the time limit' }));
  });

  it('count the time of each file separately', { timeout }, async () => {
    const reading = extractor({ timeoutMs: 4000 });
    expect(await reading.extract('html', endless)).toEqual({ refused: 'could not be read within the time limit' });
    expect(await reading.extract('text', text)).toEqual({ text: 'some text' });
  });
});

describe('extraction jobs', () => {
  it('are queued and all complete, even when one of them is rejected', { timeout }, async () => {
    const reading = extractor();
    const jobs = Array.from({ length: 12 }, (_, at) =>
      at === 3 ? reading.extract('pdf', bomb) : reading.extract('text', Buffer.from(`text ${at}`)),
    );
    expect(await Promise.all(jobs)).toEqual(
      jobs.map((_, at) => (at === 3 ? { refused: 'needs too much memory' } : { text: `text ${at}` })),
    );
  });

  it('are interrupted when the extractor closes, whether waiting or running', { timeout }, async () => {
    const reading = extractor();
    expect(await reading.extract('text', text)).toEqual({ text: 'some text' });
    const jobs = Array.from({ length: 4 }, () => reading.extract('html', long));
    await reading.close();
    expect(await Promise.all(jobs)).toEqual(Array(4).fill({ interrupted: true }));
    expect(await reading.extract('text', text)).toEqual({ interrupted: true });
    await reading.close();
  });

  it('are interrupted when the extractor closes while its process starts', async () => {
    const reading = extractor();
    const job = reading.extract('text', text);
    await reading.close();
    expect(await job).toEqual({ interrupted: true });
  });
});

/** Returns the child processes of a process, as the operating system reports them. */
function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const { ppid } = /\) \S (?<ppid>\d+)/.exec(readFileSync(`/proc/${name}/stat`, 'utf8'))?.groups ?? {};
        return ppid === String(pid) && readFileSync(`/proc/${name}/cmdline`, 'utf8').includes('extract.js');
      } catch {
        return false; // ended meanwhile
      }
    })
    .map(Number);
}

/** Returns whether a process is running, and is not a zombie. */
function runs(pid: number): boolean {
  return existsSync(`/proc/${pid}/stat`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
}

describe.runIf(existsSync('/proc/self/stat'))('the extraction process', () => {
  const servers: ChildProcess[] = [];
  /** Other tests in this process may have other readers. */
  let others: number[] = [];
  const own = () => childrenOf(process.pid).filter((pid) => !others.includes(pid));
  beforeAll(() => {
    others = childrenOf(process.pid);
  });

  /** Starts a server that reports when it has read a text, and then runs `then`. */
  function server(then: string): ChildProcess {
    const script = `
      import { createExtractor } from './src/modules/files/extract/extractor.ts';
      import { createLog } from './src/log.ts';
      const held = setInterval(() => {}, 1000);
      const reading = createExtractor({ log: createLog('silent') });
      await reading.extract('text', Buffer.from('some text'));
      ${then}
    `;
    const started = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', script], {
      cwd: projectRoot,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    servers.push(started);
    return started;
  }
  afterEach(() => {
    for (const started of servers.splice(0)) started.kill('SIGKILL');
  });

  it('does not inherit the server’s environment', { timeout }, async () => {
    process.env.EXTRACTOR_TEST_SECRET = 'secret';
    const reading = extractor();
    await reading.extract('text', text);
    delete process.env.EXTRACTOR_TEST_SECRET;
    const environments = own().map((pid) => readFileSync(`/proc/${pid}/environ`, 'utf8'));
    expect(environments).toHaveLength(1);
    const names = environments[0]?.match(/^[^=]+|(?<=\0)[^=]+/g);
    expect(names?.sort()).toEqual(['NODE_CHANNEL_FD', 'NODE_CHANNEL_SERIALIZATION_MODE', 'PATH']);
  });

  it('ignores SIGINT, SIGTERM and SIGHUP', { timeout }, async () => {
    const reading = extractor();
    await reading.extract('text', text);
    const [pid] = own();
    const job = reading.extract('text', text);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.kill(pid ?? 0, signal);
    expect(await job).toEqual({ text: 'some text' });
    expect(await reading.extract('text', text)).toEqual({ text: 'some text' });
    expect(own()).toEqual([pid]);
  });

  it('is limited to two instances', { timeout }, async () => {
    const reading = extractor();
    const seen: number[] = [];
    const jobs = Array.from({ length: 6 }, async () => {
      await reading.extract('text', text);
      seen.push(own().length);
    });
    await Promise.all(jobs);
    expect(new Set(seen)).toEqual(new Set([2]));
  });

  it('is replaced after a file that leaves its memory usage high', { timeout }, async () => {
    const reading = extractor({ memoryMb: 256 });
    await reading.extract('text', text);
    const before = own();
    await reading.extract('text', text);
    expect(own()).toEqual(before);
    const large = pdf(['x'], { content: pdfStream(deflatedZeros(50), '/Filter /FlateDecode') });
    expect(await reading.extract('pdf', large)).toEqual({ refused: 'contains no readable text' });
    expect(await reading.extract('text', text)).toEqual({ text: 'some text' });
    expect(own()).not.toContain(before[0]);
  });

  it('is replaced when it exits unexpectedly', { timeout }, async () => {
    const reading = extractor();
    await reading.extract('text', text);
    const [pid] = own();
    const job = reading.extract('html', long);
    process.kill(pid ?? 0, 'SIGKILL');
    expect(await job).toEqual({ refused: 'could not be read' });
    expect(await reading.extract('text', text)).toEqual({ text: 'some text' });
  });

  it('exits when the extractor is closed', { timeout }, async () => {
    const reading = extractor();
    await reading.extract('text', text);
    expect(own()).toHaveLength(1);
    await reading.close();
    expect(own()).toEqual([]);
  });

  // Shorter than the time that an idle process is kept.
  it('does not keep the server running', { timeout: 20_000 }, async () => {
    const ended = once(server('clearInterval(held);'), 'exit');
    expect(await ended).toEqual([0, null]);
  });

  it('exits when the server is killed during an extraction', { timeout }, async () => {
    const started = server(`
      reading.extract('html', Buffer.from('<p>one <b>bold</b> word</p>'.repeat(100_000)));
      console.log('reading');
    `);
    await once(started.stdout as NodeJS.ReadableStream, 'data');
    const [pid] = childrenOf(started.pid ?? 0);
    expect(pid).toBeGreaterThan(0);
    started.kill('SIGKILL');
    await until(() => !runs(pid ?? 0));
  });
});
