import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openDatabase } from '../../src/store/database.ts';
import { build, shortLived, storage } from '../e2e/latchkey.ts';
import { document, type Rows, response, type StorageFolder, storageFolder } from './storage.ts';

/** The commands as npm runs them, each in its own process, on a database that is kept between them. */
let store: Awaited<ReturnType<typeof storage>>;
let folder: StorageFolder;

const root = join(import.meta.dirname, '..', '..');
const running = new Set<ChildProcessWithoutNullStreams>();
const documents = 40;

const rows: Rows = {
  system_settings: [{ label: 'telemetry_id', value: 'command' }],
  workspaces: [{ id: 1, name: 'Big', slug: 'big' }],
  workspace_documents: Array.from({ length: documents }, (_, index) => ({
    docId: `${index}`,
    filename: `d${index}.json`,
    docpath: `custom-documents/d${index}.json`,
    workspaceId: 1,
  })),
  workspace_chats: Array.from({ length: 120 }, (_, index) => ({
    workspaceId: 1,
    prompt: `Question ${index}`,
    response: response(`Answer ${index}`),
    createdAt: 1_700_000_000_000 + index * 1000,
  })),
};

beforeAll(async () => {
  await build();
  store = await storage();
  folder = storageFolder();
  await folder.database(rows);
  for (let index = 0; index < documents; index++)
    folder.write(
      `documents/custom-documents/d${index}.json`,
      JSON.stringify(document(`D ${index}`, `Text number ${index}.`)),
    );
});
afterAll(async () => {
  for (const child of running) child.kill('SIGKILL');
  folder?.remove();
  await store?.drop();
});

function command(name: 'anythingllm' | 'onyx', args: string[], environment: Record<string, string> = {}) {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, [...shortLived, `dist/import-${name}.js`, ...args], {
    cwd: root,
    env: { PATH, HOME, LOG_LEVEL: 'error', ...store.environment, ...environment },
  });
  running.add(child);
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (output.stderr += text));
  const exited = once(child, 'close').then(([code]) => {
    running.delete(child);
    return code as number | null;
  });
  /** Waits for a line of progress. */
  const reached = async (line: string) => {
    while (!output.stderr.includes(line)) await Promise.race([once(child.stderr, 'data'), exited]);
  };
  return { child, output, exited, reached };
}

/** Returns the content of the database as an operator would count it. */
async function contents() {
  const { DATABASE_URL: databaseUrl, DATA_DIR: dataDir } = store.environment;
  const db = await openDatabase({ databaseUrl, dataDir });
  const { prisma } = db;
  const found = {
    agents: await prisma.agent.count({ where: { slug: 'big' } }),
    documents: await prisma.document.count({ where: { source: 'anythingllm' } }),
    attached: await prisma.document.count({ where: { agents: { some: { slug: 'big' } } } }),
    files: (await prisma.document.findMany({ where: { source: 'anythingllm' }, select: { fileName: true } }))
      .map(({ fileName }) => fileName)
      .sort(),
    sessions: await prisma.chatSession.count(),
    said: (await prisma.chatMessage.findMany({ where: { role: { not: 'SYSTEM' } }, orderBy: { id: 'asc' } })).map(
      ({ text }) => text,
    ),
    records: await prisma.importRecord.count(),
  };
  await db.close();
  return found;
}

it('an import resumes after it was killed, and imports everything once', { timeout: 240_000 }, async () => {
  const first = command('anythingllm', [folder.path]);
  await first.reached(`documents 15/${documents}\n`);
  first.child.kill('SIGKILL');
  expect(await first.exited).toBeNull();
  expect(first.output.stdout).toBe('');
  const [, file = ''] = /^latchkey: your first admin key is in (\S+)$/m.exec(first.output.stderr) ?? [];
  expect(readFileSync(file, 'utf8')).toMatch(/^on_\w{36}\n$/);

  const second = command('anythingllm', [folder.path]);
  await second.reached('chats 50/120\n');
  second.child.kill('SIGKILL');
  expect(await second.exited).toBeNull();
  expect(second.output.stdout).toBe('');

  const third = command('anythingllm', [folder.path]);
  expect(await third.exited, third.output.stderr).toBe(0);
  expect(third.output.stdout).toMatch(/^Done\.\n/);
  expect(third.output.stdout).toMatch(/documents: \d+ imported|documents: 0 imported, 40 already known/);
  const after = await contents();
  expect(after).toMatchObject({ agents: 1, documents, attached: documents, sessions: 1 });
  expect(after.files).toEqual(Array.from({ length: documents }, (_, index) => `d${index}.json`).sort());
  expect(after.said).toEqual(
    Array.from({ length: 240 }, (_, index) => `${index % 2 ? 'Answer' : 'Question'} ${index >> 1}`),
  );
});

it('a failed import exits with 1 and one line, and never prints the key', { timeout: 240_000 }, async () => {
  const key = 'on_a-secret-of-another-server';
  const before = await contents();
  const busy = storageFolder();
  await busy.database(rows);
  busy.write('anythingllm.db-wal', 'what is not in the database yet');
  busy.write('documents/custom-documents/d0.json', JSON.stringify(document('D 0', 'Text number 0.')));
  const cases = [
    ['anythingllm', ['/nowhere'], '/nowhere does not exist'],
    ['anythingllm', [busy.path], 'anythingllm.db: is being written to: stop AnythingLLM first'],
    ['anythingllm', [], 'usage: npm run import:anythingllm'],
    ['anythingllm', [folder.path, '--as', 'nobody@x.example'], 'no administrator has this address'],
    ['onyx', ['http://127.0.0.1:1', key], 'cannot be read'],
    ['onyx', ['http://127.0.0.1:1', `--key=${key}`], 'usage: ONYX_API_KEY=<key> npm run import:onyx'],
    ['onyx', ['http://127.0.0.1:1'], 'the key is missing: set ONYX_API_KEY'],
    ['onyx', ['file:///etc', key], 'must begin with http:// or https://'],
  ] as const;
  // One after the other, since each needs exclusive access to the database.
  for (const [name, args, line] of cases) {
    const { output, exited } = command(name, [...args]);
    expect(await exited).toBe(1);
    expect(output.stderr).toContain(line);
    expect(output.stdout).toBe('');
    expect(output.stderr).not.toContain(key);
  }
  busy.remove();
  expect(await contents()).toEqual(before);
});
