import { randomUUID } from 'node:crypto';
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const beat = 1000;
const silence = 60_000;

/**
 * Waits until this process alone holds the lock.
 *
 * The lock is a folder that contains one file, whose modification time the holder updates every second. A process
 * acquires the lock by renaming a folder that it prepared onto the lock folder; the operating system rejects this while
 * the target contains a file. Another process releases an abandoned lock by deleting its file: the holder and its
 * children have exited, or the file has not been updated for 60 s. Each holder's file has a unique name, so that a
 * process cannot delete a lock that another process has just acquired.
 *
 * @param {string} folder
 * @param {() => void} onWait called once, when another process holds the lock
 * @returns {Promise<{ release: () => void, addChild: (pid: number) => void }>} `addChild`: keeps the lock valid while
 * that process is running, even if this process is killed
 */
export async function lock(folder, onWait) {
  const name = randomUUID();
  const own = `${folder}.${name}`;
  mkdirSync(dirname(folder), { recursive: true });
  mkdirSync(own);
  writeFileSync(join(own, name), `${hostname()}\n${process.pid}\n`);

  let timer;
  const release = () => {
    clearInterval(timer);
    process.off('exit', release);
    rmSync(own, { recursive: true, force: true });
    open(folder, name);
  };
  process.on('exit', release);

  for (let waited = false; !take(own, folder); waited = true) {
    if (!waited) onWait();
    await sleep(100);
    touch(join(own, name));
  }
  timer = setInterval(() => touch(join(folder, name)), beat).unref();
  return { release, addChild: (pid) => appendFileSync(join(folder, name), `${pid}\n`) };
}

function take(own, folder) {
  try {
    renameSync(own, folder);
    return true;
  } catch (error) {
    // The error codes for a target that is not empty. Windows also returns them for an empty one.
    if (!['ENOTEMPTY', 'EEXIST', 'EPERM', 'EACCES'].includes(error.code)) throw error;
  }
  const [holder] = ifThere(() => readdirSync(folder)) ?? [];
  if (!holder) removeIfEmpty(folder);
  else if (abandoned(join(folder, holder))) open(folder, holder);
  return false;
}

function abandoned(file) {
  return ifThere(() => {
    if (Date.now() - statSync(file).mtimeMs > silence) return true;
    const [host, ...pids] = readFileSync(file, 'utf8').trim().split('\n');
    return host === hostname() && !pids.some((pid) => alive(Number(pid)));
  });
}

function alive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function touch(file) {
  // The lock was taken over while this process was suspended.
  ifThere(() => utimesSync(file, new Date(), new Date()));
}

function open(folder, holder) {
  rmSync(join(folder, holder), { force: true });
  removeIfEmpty(folder);
}

function removeIfEmpty(folder) {
  try {
    rmdirSync(folder);
  } catch (error) {
    if (!['ENOENT', 'ENOTEMPTY', 'EEXIST', 'EPERM'].includes(error.code)) throw error;
  }
}

/** Returns the result of `work`, or undefined when its file does not exist. */
function ifThere(work) {
  try {
    return work();
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}
