import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { build } from '../../../test/e2e/latchkey.ts';
import { until } from '../../../test/kit.ts';
import { createLiteFolder } from './create.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'latchkey-create-'));
beforeAll(build);
afterAll(() => rmSync(dataDir, { recursive: true, force: true }));

/** Returns the process that creates a database, once it has written the first files. */
const creating = () =>
  until(() => {
    const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ');
    return children
      .filter((pid) => existsSync(`/proc/${pid}/cmdline`))
      .map((pid) => ({ pid: Number(pid), folder: readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[2] ?? '' }))
      .find(({ folder }) => folder.startsWith(dataDir) && existsSync(join(folder, 'PG_VERSION')))?.pid;
  });

it('leaves nothing when the process that creates the database is killed, and the next start creates it', {
  timeout: 180_000,
}, async () => {
  const folder = join(dataDir, 'pglite');
  const failure = expect(createLiteFolder(folder)).rejects.toThrow(
    `DATA_DIR: the database in ${folder} cannot be created: its process ended with SIGKILL`,
  );
  process.kill(await creating(), 'SIGKILL');
  await failure;
  expect(readdirSync(dataDir)).toEqual([]);

  // A server that was killed during its first start cannot remove the files.
  const abandoned = join(dataDir, 'pglite.new-killed');
  mkdirSync(abandoned);
  writeFileSync(join(abandoned, 'PG_VERSION'), '');
  const created = createLiteFolder(folder);
  const pid = await creating();
  await created;
  expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  expect(readdirSync(dataDir)).toEqual(['pglite']);
  expect(readFileSync(join(folder, 'PG_VERSION'), 'utf8')).toMatch(/^\d+\n$/);
});
