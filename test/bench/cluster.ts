import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A PostgreSQL server that exists as long as a benchmark. */
export interface Cluster {
  url: string;
  stop(): void;
}

const debian = '/usr/lib/postgresql';

/** PostgreSQL refuses to run as root. */
const asOwner = (command: string, args: string[]) =>
  process.getuid?.() === 0
    ? execFileSync('runuser', ['-u', 'postgres', '--', command, ...args], { cwd: tmpdir(), stdio: 'ignore' })
    : execFileSync(command, args, { stdio: 'ignore' });

const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });

/** Starts Debian's PostgreSQL with default settings. Returns null when it is not installed. */
export async function startCluster(): Promise<Cluster | null> {
  if (!existsSync(debian)) return null;
  const version = readdirSync(debian).sort().at(-1);
  const bin = join(debian, String(version), 'bin');
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-bench-'));
  chmodSync(folder, 0o777);
  const data = join(folder, 'data');
  const port = await freePort();
  asOwner(join(bin, 'initdb'), ['-D', data, '-U', 'latchkey', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8']);
  const options = `-h 127.0.0.1 -p ${port} -k ${folder}`;
  asOwner(join(bin, 'pg_ctl'), ['start', '-D', data, '-w', '-s', '-l', join(folder, 'log'), '-o', options]);
  return {
    url: `postgresql://latchkey@127.0.0.1:${port}/postgres`,
    stop() {
      asOwner(join(bin, 'pg_ctl'), ['stop', '-D', data, '-m', 'immediate', '-s']);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
