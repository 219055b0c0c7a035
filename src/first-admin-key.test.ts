import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { handOver } from './first-admin-key.ts';

let dataDir: string;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'latchkey-key-'));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

it('shows the first admin key on a terminal and writes no file', () => {
  expect(handOver('on_secret', { dataDir, isTerminal: true })).toEqual({ secret: 'on_secret' });
  expect(readdirSync(dataDir)).toEqual([]);
});

it('writes the first admin key to a file with mode 600 when the output is not a terminal', () => {
  const nested = join(dataDir, 'new', 'folder');
  const file = join(nested, 'first-admin-key');
  expect(handOver('on_secret', { dataDir: nested, isTerminal: false })).toEqual({ file });
  expect(readFileSync(file, 'utf8')).toBe('on_secret\n');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readdirSync(nested)).toEqual(['first-admin-key']);
});

it('replaces the file of an earlier key and sets its mode to 600', () => {
  const file = join(dataDir, 'first-admin-key');
  writeFileSync(file, 'on_older\n');
  chmodSync(file, 0o644);
  handOver('on_secret', { dataDir, isTerminal: false });
  expect([readFileSync(file, 'utf8'), statSync(file).mode & 0o777]).toEqual(['on_secret\n', 0o600]);
});

it('throws when the file for the first admin key cannot be written', () => {
  const file = join(dataDir, 'no-folder');
  writeFileSync(file, '');
  expect(() => handOver('on_secret', { dataDir: file, isTerminal: false })).toThrow();
});
