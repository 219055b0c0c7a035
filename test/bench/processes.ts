import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** A server in a separate process. */
export interface Running {
  port: number;
  pid: number;
  /** Time from the start of the process to its first response, in milliseconds. */
  startedIn: number;
  stop(): Promise<void>;
}

const hasTaskset = (() => {
  try {
    execFileSync('taskset', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

/** Moves this process, which generates the load, to another core than the servers. */
export function leaveCoreToServers(): boolean {
  if (hasTaskset) execFileSync('taskset', ['-a', '-p', '-c', '1', String(process.pid)], { stdio: 'ignore' });
  return hasTaskset;
}

/** Starts a script on the first core and waits until a path responds. */
export async function start(
  script: string,
  { port, ready, env = {} }: { port: number; ready: string; env?: Record<string, string> },
): Promise<Running> {
  const startedAt = performance.now();
  const command = [process.execPath, script];
  const [file, ...args] = (hasTaskset ? ['taskset', '-c', '0', ...command] : command) as [string, ...string[]];
  const child: ChildProcess = spawn(file, args, {
    env: { PATH: process.env.PATH ?? '', ...env, PORT: String(port) },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let gone = false;
  void exited.then(() => {
    gone = true;
  });
  for (;;) {
    if (gone) throw new Error(`${script} ended before it was ready`);
    const response = await fetch(`http://127.0.0.1:${port}${ready}`).catch(() => null);
    await response?.arrayBuffer();
    if (response?.ok) break;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return {
    port,
    pid: child.pid ?? 0,
    startedIn: performance.now() - startedAt,
    async stop() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

/** Number of clock ticks of `/proc` per second. */
const ticks = 100;

/** Returns the processor time that a process has used, in milliseconds. */
export function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / ticks;
}

/** Returns the resident memory of a process in MiB. */
export function memoryOf(pid: number): number {
  const line = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1] ?? 0) / 1024;
}
